import { closeExportRun } from '../../db/queries/export-list.ts';
import { lockExport } from '../../db/queries/export-state.ts';
import { requestCancel } from '../../db/queries/run-state.ts';
import type { SyncRunRow } from '../../db/tables.ts';
import { InvalidStateError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { queueRun } from './queue-run.ts';

/** A queued run ends at once, a running one between two batches. actor: who asks. Throws InvalidStateError when it is over. */
export async function cancelRun(deps: SyncDeps, run: SyncRunRow, actor: string): Promise<SyncRunRow> {
  return await deps.db.transaction().execute(async (trx) => {
    // The export before its run, as everywhere: two that lock both never wait for each other.
    await lockExport(trx, run.export_id);
    const cancelled = await requestCancel(trx, run.id, {
      now: deps.clock.now(),
      by: actor,
      cause: 'REQUEST',
    });
    if (!cancelled) throw new InvalidStateError('This run is over; there is nothing to cancel.');
    if (cancelled.status !== 'CANCELLED') return cancelled;
    const { followUp, projectId } = await closeExportRun(trx, cancelled.export_id, {});
    if (followUp) {
      await queueRun({ ...deps, db: trx }, { exportId: cancelled.export_id, projectId, trigger: 'PUSH' });
    }
    return cancelled;
  });
}
