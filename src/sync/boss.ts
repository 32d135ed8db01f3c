import { fromKysely, PgBoss } from 'pg-boss';
import type { Logger } from 'pino';
import type { JobQueue } from './job-queue.ts';

export const RUN_QUEUE = 'sync-run';

/**
 * A worker that is silent for this long is taken for dead, and its run goes to another one; pg-boss takes no less. With
 * the three that follow, and the workers' polling, a run is taken up again within 30 seconds, also the tenth time.
 */
const HEARTBEAT_SECONDS = 10;
/** How often dead workers are looked for. */
const SUPERVISE_SECONDS = 3;
/** A run that was handed over is picked up again after this, doubled each time up to the second. */
const RETRY_SECONDS = 1;
const MAX_RETRY_SECONDS = 5;
/** A run may take days at Iterable's pace; only silence ends a worker's claim to it. */
const MAX_RUN_SECONDS = 24 * 3600 - 1;

export interface Boss {
  boss: PgBoss;
  jobs: JobQueue;
  stop(): Promise<void>;
}

/** Starts pg-boss on the database, and makes the queue. Safe for many processes at once. */
export async function startBoss(options: {
  databaseUrl: string;
  logger: Logger;
  supervise: boolean;
}): Promise<Boss> {
  const { logger } = options;
  const boss = new PgBoss({
    connectionString: options.databaseUrl,
    application_name: 'cohort-sync-jobs',
    max: 3,
    schema: 'pgboss',
    schedule: false,
    supervise: options.supervise,
    superviseIntervalSeconds: SUPERVISE_SECONDS,
    monitorIntervalSeconds: SUPERVISE_SECONDS,
    useListenNotify: true,
    registerInstance: false,
  });
  boss.on('error', (error) => logger.warn({ err: error }, 'the job queue met an error'));
  boss.on('warning', (warning) => logger.debug({ warning }, 'the job queue warns'));
  await boss.start();
  await boss.createQueue(RUN_QUEUE, {
    policy: 'standard',
    notify: true,
    retryLimit: 1_000_000,
    retryDelay: RETRY_SECONDS,
    // Something that goes on failing (a database that is away) is not tried every second.
    retryBackoff: true,
    retryDelayMax: MAX_RETRY_SECONDS,
    expireInSeconds: MAX_RUN_SECONDS,
    heartbeatSeconds: HEARTBEAT_SECONDS,
    deleteAfterSeconds: 3600,
  });
  return {
    boss,
    jobs: {
      async addRun(db, run) {
        await boss.send(
          RUN_QUEUE,
          { runId: run.id },
          // What counts as one project's among the places of a worker.
          { db: fromKysely(db), group: { id: run.project_id } },
        );
      },
      async endJob(db, jobId) {
        await boss.complete(RUN_QUEUE, jobId, undefined, { db: fromKysely(db), includeQueued: true });
      },
    },
    // Workers have stopped before; what they gave up goes to others when its heartbeat is missed.
    stop: () => boss.stop({ graceful: true, timeout: 1_000, close: true }),
  };
}
