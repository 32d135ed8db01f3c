import { lockExport } from '../../db/queries/export-state.ts';
import { releaseHeldAdditions, takeHeldRemoval } from '../../db/queries/held-batch.ts';
import { MARKS } from '../../db/queries/list-block.ts';
import { decideRun } from '../../db/queries/run-state.ts';
import type { SyncRunRow } from '../../db/tables.ts';
import type { RemovalDecision } from '../../db/values.ts';
import { InvalidStateError } from '../errors.ts';
import { changePlaces, type PlaceChange } from './change-places.ts';
import type { SyncDeps } from './deps.ts';
import type { Place } from './listed-people.ts';
import { decodePlace } from './people-block.ts';
import { requireConnected } from './queue-run.ts';
import { type RunExecution, requireAttempt } from './run-execution.ts';

/**
 * Decides about the removals of a held run, which goes back to the queue. APPROVED: the cohort is read again, and those who
 * were pending and still do not qualify are removed. DISCARDED: they stay on the list. Throws InvalidStateError for a
 * run that is not held, and INTEGRATION_NOT_CONNECTED.
 */
export async function decideRemovals(
  deps: SyncDeps,
  run: SyncRunRow,
  integrationId: string,
  decision: RemovalDecision,
): Promise<SyncRunRow> {
  return await deps.db.transaction().execute(async (trx) => {
    await requireConnected(trx, integrationId);
    await lockExport(trx, run.export_id);
    const decided = await decideRun(trx, run.id, decision);
    if (!decided) throw new InvalidStateError('This run does not wait for approval.');
    await deps.jobs.addRun(trx, run);
    return decided;
  });
}

/** What follows from a discarded removal: the people are kept on the list, and the additions that had waited are sent. */
export async function keepHeld(execution: RunExecution): Promise<void> {
  const { deps, run } = execution;
  let isDone = false;
  while (!isDone) {
    isDone = await deps.db.transaction().execute(async (trx) => {
      await requireAttempt(execution, trx);
      const batch = await takeHeldRemoval(trx, run.id);
      if (!batch) {
        await releaseHeldAdditions(trx, run.id);
        return true;
      }
      const kept: { place: Place; change: PlaceChange }[] = [];
      for (let index = 0; index < batch.size; index++) {
        const place = decodePlace(batch.places, index);
        if (place) kept.push({ place, change: { set: MARKS.kept } });
      }
      await changePlaces(trx, kept);
      return false;
    });
  }
}
