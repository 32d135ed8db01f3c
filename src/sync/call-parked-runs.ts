import { callStrandedRuns, listParkedProjects } from '../../db/queries/mixpanel-line.ts';
import { callParkedRuns as callRuns } from '../../db/queries/mixpanel-query.ts';
import type { SyncDeps } from './deps.ts';
import { hourBudgetOf } from './query-budget.ts';

/**
 * Gives parked runs a job again when there is a query to Mixpanel for them, the first in line first. Any number of
 * processes may call it at once: each run is called by one of them.
 */
export async function callParkedRuns({ db, jobs, clock, env }: SyncDeps): Promise<void> {
  for (const project of await listParkedProjects(db)) {
    await db.transaction().execute(async (trx) => {
      const called = project
        ? await callRuns(trx, project, { ...hourBudgetOf(env), now: clock.now() })
        : await callStrandedRuns(trx);
      for (const run of called) await jobs.addRun(trx, run);
    });
  }
}
