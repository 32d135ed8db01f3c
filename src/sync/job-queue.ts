import type { Db } from '../../db/connect.ts';
import type { SyncRunRow } from '../../db/tables.ts';

/** Where work for the workers is put. Inside a transaction the job appears exactly when it commits. */
export interface JobQueue {
  /** The run's row exists, or is made in the same transaction. */
  addRun(db: Db, run: Pick<SyncRunRow, 'id' | 'project_id'>): Promise<void>;
  /** The job is over, whatever its worker says or does not say afterwards. */
  endJob(db: Db, jobId: string): Promise<void>;
}
