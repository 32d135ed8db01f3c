import { updateExport } from '../../db/queries/export-state.ts';
import { lockPutOffExports, recallPutOffQueries, recallPutOffRefreshes } from '../../db/queries/put-off.ts';
import type { SyncDeps } from './deps.ts';
import { nextDueAt } from './grid.ts';

/** The clocks of several processes may differ by so much. */
const MAX_SKEW_MS = 5_000;
const HOUR_MS = 3_600_000;

/**
 * Times that a clock running ahead has set lie too far in the future once it is put right, and so do those of an interval
 * that was longer: no export is to wait longer than one interval, no cohort list, and nobody longer than an hour for a
 * query to Mixpanel. Any number of processes may call
 * it at once. Gives how many were brought forward.
 */
export async function recallPutOff(deps: SyncDeps): Promise<number> {
  const now = deps.clock.now();
  const { dynamicSyncIntervalMs, cohortRefreshIntervalMs } = deps.env;
  const after = (intervalMs: number) => new Date(now.getTime() + intervalMs + MAX_SKEW_MS);
  // Before the exports, as everything of a connection.
  let recalled = await recallPutOffRefreshes(deps.db, after(cohortRefreshIntervalMs), now);
  recalled += await recallPutOffQueries(deps.db, { sent: after(0), held: after(HOUR_MS) }, now);
  await deps.db.transaction().execute(async (trx) => {
    for (const exported of await lockPutOffExports(trx, after(dynamicSyncIntervalMs))) {
      const nextRunAt = nextDueAt(exported.created_at, now, dynamicSyncIntervalMs);
      if (nextRunAt >= exported.next_run_at!) continue;
      await updateExport(trx, exported.id, { nextRunAt });
      recalled++;
    }
  });
  return recalled;
}

/** Does so when it is first called, and again whenever the clock of this process has been set back since. */
export function createRecall(deps: SyncDeps): () => Promise<void> {
  let lastSeen = Number.POSITIVE_INFINITY;
  return async () => {
    const now = deps.clock.now().getTime();
    if (now < lastSeen - MAX_SKEW_MS) {
      const recalled = await recallPutOff(deps);
      if (recalled > 0) deps.logger.warn({ recalled }, 'times too far ahead were brought forward');
    }
    // Not before: what failed is done at the next beat.
    lastSeen = now;
  };
}
