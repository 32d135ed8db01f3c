import { findActiveRun } from '../../db/queries/active-run.ts';
import { clearImportFailures } from '../../db/queries/messaging-import.ts';
import { stopExportsOfOtherProjects } from '../../db/queries/mixpanel-cohort.ts';
import { deleteMixpanelConnection, upsertMixpanelConnection } from '../../db/queries/mixpanel-connection.ts';
import { requestCancel } from '../../db/queries/run-state.ts';
import type { MixpanelConnectionRow } from '../../db/tables.ts';
import type { IdMerge, MixpanelRegion } from '../../db/values.ts';
import { MUTATION_BUDGET_MS } from './connect-iterable.ts';
import type { SyncDeps } from './deps.ts';
import { readCohortList, storeCohortList } from './refresh-cohorts.ts';
import { createMixpanelClient } from './sources/mixpanel/client.ts';
import { giveEndpoint } from './webhook-endpoint.ts';

export interface ConnectMixpanelInput {
  region: MixpanelRegion;
  projectId: string;
  workspaceId?: string | null | undefined;
  serviceAccountUsername: string;
  serviceAccountSecret: string;
  idMerge: IdMerge;
}

/**
 * Checks the service account by reading the cohort list, which it keeps. Another Mixpanel project than before: the old
 * one's cohorts are no longer present and their exports stop. Throws CohortSyncError, and then nothing was stored.
 */
export async function connectMixpanel(
  deps: SyncDeps,
  { projectId, actor, input }: { projectId: string; actor: string; input: ConnectMixpanelInput },
): Promise<MixpanelConnectionRow> {
  const client = createMixpanelClient({
    baseUrl: deps.env.mixpanel.baseUrl[input.region],
    projectId: input.projectId,
    workspaceId: input.workspaceId ?? undefined,
    username: input.serviceAccountUsername,
    secret: input.serviceAccountSecret,
  });
  const listed = await readCohortList(
    deps,
    { region: input.region, mixpanel_project_id: input.projectId },
    client,
    { budgetMs: MUTATION_BUDGET_MS },
  );
  return await deps.db.transaction().execute(async (trx) => {
    const connection = await upsertMixpanelConnection(trx, {
      projectId,
      region: input.region,
      mixpanelProjectId: input.projectId,
      workspaceId: input.workspaceId ?? null,
      idMerge: input.idMerge,
      username: input.serviceAccountUsername,
      secret: deps.secrets.encrypt(input.serviceAccountSecret),
      now: deps.clock.now(),
    });
    await clearImportFailures(trx, projectId);
    await giveEndpoint({ ...deps, db: trx }, projectId, 'MIXPANEL');
    await storeCohortList({ ...deps, db: trx }, connection, listed);
    for (const exportId of await stopExportsOfOtherProjects(trx, projectId, input.projectId)) {
      const active = await findActiveRun(trx, exportId);
      const request = { now: deps.clock.now(), by: actor, cause: 'REQUEST' } as const;
      if (active) await requestCancel(trx, active.id, request);
    }
    const refreshedAt = deps.clock.now();
    return { ...connection, cohorts_refreshed_at: refreshedAt };
  });
}

/**
 * Forgets the service account, and returns what was forgotten. Cohorts and exports stay; nothing runs until Mixpanel is
 * connected again.
 */
export async function disconnectMixpanel(
  deps: SyncDeps,
  projectId: string,
): Promise<MixpanelConnectionRow | undefined> {
  return await deleteMixpanelConnection(deps.db, projectId);
}
