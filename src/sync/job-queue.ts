import type { Db } from '../../db/connect.ts';

/** Where work for the workers is put. Inside a transaction the job appears exactly when it commits. */
export interface JobQueue {
  /** A run's row exists in the same transaction. */
  addRun(db: Db, runId: string): Promise<void>;
}
