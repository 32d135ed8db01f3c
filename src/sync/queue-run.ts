import type { Db } from '../../db/connect.ts';
import { insertRun } from '../../db/queries/active-run.ts';
import { lockExport, requestFollowUp } from '../../db/queries/export-state.ts';
import { holdConnected } from '../../db/queries/integration-state.ts';
import type { ExportRow, SyncRunRow } from '../../db/tables.ts';
import type { RunPurpose, SyncTrigger } from '../../db/values.ts';
import { CohortSyncError, InvalidStateError, SyncAlreadyRunningError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';

export interface WantedRun {
  exportId: number;
  projectId: string;
  trigger: SyncTrigger;
  purpose?: RunPurpose;
  /** People whom a discarded removal kept on the list are removed too. */
  includeKept?: boolean;
  /** The name of the token that asks for it; undefined for what comes by itself. */
  startedBy?: string;
}

/**
 * Queues a run and its job; deps.db may be a transaction. When the export has an active run, that one is given and
 * nothing is queued.
 */
export async function queueRun(
  deps: SyncDeps,
  wanted: WantedRun,
): Promise<{ run: SyncRunRow; alreadyActive: boolean }> {
  const queued = await insertRun(deps.db, { ...wanted, now: deps.clock.now() });
  if (!queued.alreadyActive) await deps.jobs.addRun(deps.db, queued.run);
  return queued;
}

/** db must be a transaction, which is to lock connections before exports. Throws INTEGRATION_NOT_CONNECTED. */
export async function requireConnected(db: Db, integrationId: string): Promise<void> {
  if (await holdConnected(db, integrationId)) return;
  throw new CohortSyncError(
    'INTEGRATION_NOT_CONNECTED',
    'Iterable is not connected. Connect it with connectIntegration.',
  );
}

/** Runs an existing export once, also a paused one. Throws InvalidStateError for a stopped export. */
export async function runExport(
  deps: SyncDeps,
  exported: ExportRow,
  options: { includeKept: boolean; startedBy: string },
): Promise<SyncRunRow> {
  return await deps.db.transaction().execute(async (trx) => {
    await requireConnected(trx, exported.integration_id);
    const current = await lockExport(trx, exported.id);
    if (current.status === 'STOPPED') {
      throw new InvalidStateError('This export is stopped. Start it again with startSync.');
    }
    const { run, alreadyActive } = await queueRun(
      { ...deps, db: trx },
      { exportId: current.id, projectId: current.project_id, trigger: 'MANUAL', ...options },
    );
    if (alreadyActive) throw new SyncAlreadyRunningError(run);
    return run;
  });
}

/**
 * The cohort of a dynamic export has changed at its source: runs it at once, or right after the run that is going.
 * Nothing happens to an export that is not dynamic and active.
 */
export async function requestPushRun(deps: SyncDeps, exportId: number): Promise<void> {
  await deps.db.transaction().execute((trx) => queuePushRun({ ...deps, db: trx }, exportId));
}

/** The same within a transaction, with which the run appears. */
export async function queuePushRun(deps: SyncDeps, exportId: number): Promise<void> {
  const current = await lockExport(deps.db, exportId);
  if (current.sync_type !== 'DYNAMIC' || current.status !== 'ACTIVE') return;
  const { alreadyActive } = await queueRun(deps, {
    exportId,
    projectId: current.project_id,
    trigger: 'PUSH',
  });
  if (alreadyActive) await requestFollowUp(deps.db, exportId);
}
