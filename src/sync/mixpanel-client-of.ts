import pLimit, { type LimitFunction } from 'p-limit';
import type { MixpanelConnectionRow } from '../../db/tables.ts';
import type { SyncDeps } from './deps.ts';
import { createMixpanelClient, type MixpanelClient } from './sources/mixpanel/client.ts';

/** Mixpanel answers this many queries of a project at a time (rate limits of its Query API). */
const QUERIES_AT_ONCE = 5;

/** Turns at Mixpanel, by project; whatever runs and reads at the same time in this process waits in one line. */
export type MixpanelTurns = Map<string, LimitFunction>;

/** The client of a stored connection. Its requests take turns with all others to the same Mixpanel project. */
export function mixpanelClientOf(
  { env, secrets, mixpanelTurns }: Pick<SyncDeps, 'env' | 'secrets' | 'mixpanelTurns'>,
  connection: MixpanelConnectionRow,
): MixpanelClient {
  const client = createMixpanelClient({
    baseUrl: env.mixpanel.baseUrl[connection.region],
    projectId: connection.mixpanel_project_id,
    username: connection.service_account_username,
    secret: secrets.decrypt(connection.service_account_secret),
  });
  const project = `${connection.region}:${connection.mixpanel_project_id}`;
  const turn = mixpanelTurns.get(project) ?? pLimit(QUERIES_AT_ONCE);
  mixpanelTurns.set(project, turn);
  return {
    listCohorts: (options) => turn(() => client.listCohorts(options)),
    queryMembers: (query) => turn(() => client.queryMembers(query)),
  };
}
