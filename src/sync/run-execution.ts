import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import { lockPlan } from '../../db/queries/active-run.ts';
import type { RunScope } from '../../db/queries/run-scope.ts';
import { sumBatches } from '../../db/queries/sync-batch.ts';
import type { SyncRunRow } from '../../db/tables.ts';
import type { SyncDeps } from './deps.ts';
import type { Destination } from './destination.ts';
import { RunTakenUp } from './run-outcome.ts';
import type { RunReporter } from './run-reporter.ts';
import type { Seat } from './seats.ts';

/** How a run's time divides, as its progress shows it. */
export const PROGRESS = { reading: 0.4, planning: 0.5, finishing: 0.99 };

/** What one execution of a run works with. */
export interface RunExecution {
  deps: SyncDeps;
  run: SyncRunRow;
  scope: RunScope;
  reporter: RunReporter;
  destination: Destination;
  seat: Seat;
  logger: Logger;
}

/** Within a transaction: nobody else decides what the run does, and a worker given up for dead is told so. */
export async function requireAttempt({ reporter }: Pick<RunExecution, 'reporter'>, trx: Db): Promise<void> {
  if (!(await lockPlan(trx, reporter.attempt))) throw new RunTakenUp();
}

/** Whether somebody in the journal is still to be sent. */
export async function hasWork({ deps, run }: RunExecution): Promise<boolean> {
  return (await sumBatches(deps.db, run.id, 0)).open > 0;
}
