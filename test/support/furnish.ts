import type { ApiClient } from './api-client.ts';
import { connectPartners } from './connect-partners.ts';
import type { TestApp } from './test-app.ts';

/** What a project has once it is in use, by the names of the types. */
export interface Furnished {
  ids: Record<
    | 'Project'
    | 'ApiToken'
    | 'MixpanelAccount'
    | 'Integration'
    | 'Cohort'
    | 'Export'
    | 'SyncRun'
    | 'Member'
    | 'MessagingUsage',
    string
  >;
}

/** Uses a project to the full: both partners, a cohort, an export and a run that is over. mark is in all its texts. */
export async function furnish(app: TestApp, api: ApiClient, mark: string): Promise<Furnished> {
  const iterable = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  const mixpanel = app.sandbox.mixpanel.addProject();
  const cohort = mixpanel.addCohort({
    name: `Cohort ${mark}`,
    description: `Described ${mark}`,
    members: [
      { distinctId: `first-${mark}`, properties: { $email: `first@${mark}.example.com` } },
      { distinctId: `second-${mark}` },
    ],
  });
  await connectPartners(api, { iterable, mixpanel });
  await api.query(
    `mutation ($name: String!) { createApiToken(input: { name: $name, role: CONSUMER }) { secret } }`,
    { name: `Token ${mark}` },
  );
  const { cohorts } = await api.query(`{ cohorts { edges { node { id externalId } } } }`);
  const cohortId = cohorts.edges.find(
    (edge: { node: { externalId: string } }) => edge.node.externalId === String(cohort.id),
  ).node.id;
  const { startSync } = await api.query(
    `mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: DYNAMIC }) { id export { id } } }`,
    { id: cohortId },
  );
  await untilRunIsOver(api, startSync.id);
  const found = await api.query(
    `query ($email: String) {
      viewer { project { id } } mixpanel { id } integrations { id } apiTokens(first: 1) { edges { node { id } } }
      member(email: $email) { id } messagingUsage(month: "2030-01") { id }
    }`,
    { email: `first@${mark}.example.com` },
  );
  return {
    ids: {
      Project: found.viewer.project.id,
      ApiToken: found.apiTokens.edges[0].node.id,
      MixpanelAccount: found.mixpanel.id,
      Integration: found.integrations[0].id,
      Cohort: cohortId,
      Export: startSync.export.id,
      SyncRun: startSync.id,
      Member: found.member.id,
      MessagingUsage: found.messagingUsage.id,
    },
  };
}

export async function untilRunIsOver(api: ApiClient, runId: string): Promise<void> {
  const snapshots = api.sse(`subscription ($id: ID!) { syncProgress(runId: $id) { status } }`, { id: runId });
  for await (const _ of snapshots);
}
