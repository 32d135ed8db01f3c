import {
  forgetBatches,
  forgetRejections,
  lockRunsToForget,
  setLedgerDeleted,
} from '../../db/queries/ledger-retention.ts';
import type { SyncDeps } from './deps.ts';

const RUNS_PER_BEAT = 50;
/** A batch is some 100 kB. */
const ROWS_AT_A_TIME = 200;

/**
 * Deletes what runs that ended long ago did with whom; their totals stay, and so does who is on a list. In small
 * transactions, so that no run waits for it. Any number of processes may call it at once. Gives how many ledgers ended.
 */
export async function forgetLedgers(deps: SyncDeps, signal?: AbortSignal): Promise<number> {
  const { ledgerRetentionMs } = deps.env;
  if (ledgerRetentionMs === undefined) return 0;
  const now = deps.clock.now();
  const endedBefore = new Date(now.getTime() - ledgerRetentionMs);
  let forgotten = 0;
  for (let worked = 0; worked < RUNS_PER_BEAT && !signal?.aborted; worked++) {
    const step = await deps.db.transaction().execute(async (trx) => {
      const [runId] = await lockRunsToForget(trx, endedBefore, 1);
      if (runId === undefined) return 'nothing is left' as const;
      if ((await forgetBatches(trx, runId, ROWS_AT_A_TIME)) === ROWS_AT_A_TIME) return 'more to do' as const;
      if ((await forgetRejections(trx, runId, ROWS_AT_A_TIME)) === ROWS_AT_A_TIME)
        return 'more to do' as const;
      await setLedgerDeleted(trx, runId, now);
      return 'ended' as const;
    });
    if (step === 'nothing is left') break;
    if (step === 'ended') forgotten++;
  }
  return forgotten;
}
