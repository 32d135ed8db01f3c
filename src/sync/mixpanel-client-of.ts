import type { MixpanelConnectionRow } from '../../db/tables.ts';
import type { SyncDeps } from './deps.ts';
import { createMixpanelClient, type MixpanelClient } from './sources/mixpanel/client.ts';

/** The client of a stored connection. */
export function mixpanelClientOf(
  { env, secrets }: Pick<SyncDeps, 'env' | 'secrets'>,
  connection: MixpanelConnectionRow,
): MixpanelClient {
  return createMixpanelClient({
    baseUrl: env.mixpanel.baseUrl[connection.region],
    projectId: connection.mixpanel_project_id,
    workspaceId: connection.workspace_id ?? undefined,
    username: connection.service_account_username,
    secret: secrets.decrypt(connection.service_account_secret),
  });
}
