import type { Db } from '../../db/connect.ts';
import { findExportByListName, lockOrInsertExport, updateExport } from '../../db/queries/export-state.ts';
import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import type { SyncType } from '../../db/values.ts';
import { InvalidStateError, SyncAlreadyRunningError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { nextDueAt } from './grid.ts';
import { listNameFor } from './list-name.ts';
import { queueRun, requireConnected } from './queue-run.ts';

/**
 * Makes the cohort's export active with this type, whatever it was, and queues a run. Refused (InvalidStateError,
 * SyncAlreadyRunningError), it changes nothing.
 */
export async function startExport(
  deps: SyncDeps,
  wanted: { cohort: CohortRow; integration: IntegrationRow; syncType: SyncType; startedBy: string },
): Promise<SyncRunRow> {
  const { cohort, integration, syncType, startedBy } = wanted;
  requireExportable(cohort);
  const now = deps.clock.now();
  return await deps.db.transaction().execute(async (trx) => {
    await requireConnected(trx, integration.id);
    const exported = await lockOrInsertExport(trx, {
      projectId: cohort.project_id,
      cohortId: cohort.id,
      integrationId: integration.id,
      syncType,
      listName: listNameFor(cohort.name, cohort.external_id),
      now,
    });
    const { run, alreadyActive } = await queueRun(
      { ...deps, db: trx },
      { exportId: exported.id, projectId: cohort.project_id, trigger: 'MANUAL', startedBy },
    );
    if (alreadyActive) throw new SyncAlreadyRunningError(run);
    const listName =
      exported.list_id === null ? listNameFor(cohort.name, cohort.external_id) : exported.list_name;
    await requireListFree(trx, integration.id, exported.id, listName);
    await updateExport(trx, exported.id, {
      syncType,
      status: 'ACTIVE',
      listName,
      nextRunAt: firstDueAt(deps, exported, cohort, syncType, now),
    });
    return run;
  });
}

/** Throws InvalidStateError when another export goes by this list name. */
export async function requireListFree(
  db: Db,
  integrationId: string,
  exportId: number | undefined,
  listName: string,
): Promise<void> {
  const rival = await findExportByListName(db, integrationId, exportId, listName);
  if (rival) {
    throw new InvalidStateError(
      `The export of the cohort "${rival.cohortName}" goes to the list ${listName} already.`,
    );
  }
}

/** Cohorts from a file have no grid: they change when they are imported again. */
export function firstDueAt(
  deps: SyncDeps,
  exported: ExportRow,
  cohort: Pick<CohortRow, 'source'>,
  syncType: SyncType,
  now: Date,
): Date | null {
  if (syncType !== 'DYNAMIC' || cohort.source === 'FILE') return null;
  return nextDueAt(exported.created_at, now, deps.env.dynamicSyncIntervalMs);
}

/** Throws InvalidStateError for what Mixpanel cannot export. */
export function requireExportable(cohort: CohortRow): void {
  if (!cohort.exportable) {
    throw new InvalidStateError(
      'This is a group cohort; Mixpanel cannot export the people of group cohorts.',
    );
  }
  if (!cohort.present) {
    throw new InvalidStateError(
      'Mixpanel no longer lists this cohort; it was deleted, or another project is connected.',
    );
  }
}
