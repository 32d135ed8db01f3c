import { schedule } from 'node-cron';
import { callParkedRuns } from './call-parked-runs.ts';
import { cronOptions } from './cron-options.ts';
import type { SyncDeps } from './deps.ts';
import { forgetLedgers } from './forget-ledgers.ts';
import { indexPeople } from './index-people.ts';
import { queueDueRuns } from './queue-due-runs.ts';
import { createRecall } from './recall-put-off.ts';
import { createCohortRefresher } from './refresh-cohorts.ts';
import { applyPushes, expirePushes } from './sources/pushed/apply-pushes.ts';

export interface Scheduler {
  stop(): Promise<void>;
}

/** Beats once a second; a beat that takes longer is not joined by a second one. */
export function startScheduler(deps: SyncDeps): Scheduler {
  const beat = async (name: string, act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      deps.logger.warn({ err: error }, `${name} failed; the next beat tries again`);
    }
  };
  const recall = createRecall(deps);
  const refresher = createCohortRefresher(deps);
  const options = cronOptions(deps.logger);
  const everySecond = (work: () => Promise<void>) => schedule('* * * * * *', work, options);
  // One after the other, so that they share a connection; what may take longer has a beat of its own.
  const tasks = [
    everySecond(async () => {
      await beat('bringing times forward', recall);
      await beat('queueing due runs', () => queueDueRuns(deps));
      await beat('calling parked runs', () => callParkedRuns(deps));
    }),
    everySecond(() => beat('refreshing cohorts', refresher.begin)),
    everySecond(() => beat('applying what was pushed', () => applyPushes(deps))),
    everySecond(() => beat('indexing people', () => indexPeople(deps.db, deps.clock.now()))),
    schedule(
      '*/10 * * * * *',
      async () => {
        await beat('deleting old ledgers', () => forgetLedgers(deps));
        await beat('dropping what was pushed in part', () => expirePushes(deps));
      },
      options,
    ),
  ];
  return {
    async stop() {
      await Promise.all([refresher.stop(), ...tasks.map((task) => task.destroy())]);
    },
  };
}
