import { setTimeout as wait } from 'node:timers/promises';
import type { PgBoss } from 'pg-boss';
import { RUN_QUEUE } from './boss.ts';
import type { SyncDeps } from './deps.ts';
import { RunHandedOver } from './run-outcome.ts';
import { runSync } from './run-sync.ts';

/** Runs that one process executes at once; most of the time each waits for a partner. */
const RUNS_AT_ONCE = 8;
/** What a batch that is on its way may take to be answered; then the next process sends it again. */
const STOP_PATIENCE_MS = 5_000;

export interface Worker {
  /** Lets running batches finish and leaves the rest to the next process. */
  stop(): Promise<void>;
}

/** Takes queued runs and executes them until it is stopped. */
export async function startWorker(deps: SyncDeps, boss: PgBoss): Promise<Worker> {
  const stopping = new AbortController();
  const executing = new Set<Promise<void>>();
  await boss.work<{ runId: string }>(
    RUN_QUEUE,
    {
      localConcurrency: RUNS_AT_ONCE,
      batchSize: 1,
      pollingIntervalSeconds: 1,
      notifyPollingIntervalSeconds: 2,
    },
    async (jobs) => {
      for (const job of jobs) {
        const claim = new AbortController();
        const onLost = () =>
          claim.abort(new RunHandedOver('The queue has given this run to another worker.'));
        job.signal.addEventListener('abort', onLost, { once: true });
        const execution = runSync(deps, job.data.runId, AbortSignal.any([stopping.signal, claim.signal]));
        executing.add(execution);
        try {
          await execution;
        } catch (error) {
          // The job goes back to the queue, and the run with it.
          if (!(error instanceof RunHandedOver)) {
            deps.logger.warn(
              { err: error, runId: job.data.runId },
              'the run was interrupted and will be taken up again',
            );
          }
          throw error;
        } finally {
          executing.delete(execution);
        }
      }
    },
  );
  return {
    async stop() {
      stopping.abort(new RunHandedOver('This process is stopping.'));
      const finished = Promise.allSettled([boss.offWork(RUN_QUEUE, { wait: true }), ...executing]);
      await Promise.race([finished, wait(STOP_PATIENCE_MS, undefined, { ref: false })]);
    },
  };
}
