import type { IterableProject } from '../../sandbox/iterable/project.ts';
import type { MixpanelProject } from '../../sandbox/mixpanel/project.ts';
import type { ApiClient } from './api-client.ts';

/** Connects the project that the client's token belongs to with these partners, Mixpanel on original ID merge. */
export async function connectPartners(
  api: ApiClient,
  { iterable, mixpanel }: { iterable: IterableProject; mixpanel: MixpanelProject },
): Promise<void> {
  const account = mixpanel.addServiceAccount();
  await api.query(
    `mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }`,
    { input: { apiKey: iterable.addKey(), projectType: iterable.type } },
  );
  await api.query(`mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }`, {
    input: {
      region: mixpanel.region,
      projectId: mixpanel.id,
      idMerge: 'ORIGINAL',
      serviceAccountUsername: account.username,
      serviceAccountSecret: account.secret,
    },
  });
}
