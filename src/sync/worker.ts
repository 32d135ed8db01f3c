import { setTimeout as wait } from 'node:timers/promises';
import type { PgBoss } from 'pg-boss';
import { RUN_QUEUE } from './boss.ts';
import type { SyncDeps } from './deps.ts';
import { RunHandedOver, RunTakenUp } from './run-outcome.ts';
import { runSync } from './run-sync.ts';

/**
 * Runs that one process executes at once: nearly all of them wait for their turn at a partner, large ones for hours. What
 * needs memory is bounded by seats.
 */
const RUNS_AT_ONCE = 50;
/** Of one project, so that there is always room for the others. */
const RUNS_OF_A_PROJECT = 40;
/** Each of the places looks for a run this often; new runs are announced, those of dead workers are not. */
const POLL_SECONDS = 5;
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
      localGroupConcurrency: RUNS_OF_A_PROJECT,
      batchSize: 1,
      pollingIntervalSeconds: POLL_SECONDS,
      notifyPollingIntervalSeconds: POLL_SECONDS,
    },
    async (jobs) => {
      for (const job of jobs) {
        const claim = new AbortController();
        const onLost = () =>
          claim.abort(new RunHandedOver('The queue has given this run to another worker.'));
        job.signal.addEventListener('abort', onLost, { once: true });
        const execution = runSync(
          deps,
          { runId: job.data.runId, jobId: job.id },
          AbortSignal.any([stopping.signal, claim.signal]),
        );
        executing.add(execution);
        try {
          await execution;
        } catch (error) {
          // A run that somehow has two jobs loses one: else its workers would take it from each other for ever.
          if (error instanceof RunTakenUp) return;
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
