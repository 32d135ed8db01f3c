import type { Db } from '../../db/connect.ts';

/** Where work for the workers is put. Inside a transaction the job appears exactly when it commits. */
export interface JobQueue {
  /** The run's row exists, or is made in the same transaction. delayMs: not before this time is over. */
  addRun(db: Db, runId: string, options?: { delayMs?: number }): Promise<void>;
}
