import { createBeats } from './beats.ts';
import { callParkedRuns } from './call-parked-runs.ts';
import type { SyncDeps } from './deps.ts';
import { forgetLedgers } from './forget-ledgers.ts';
import { indexPeople } from './index-people.ts';
import { queueDueRuns } from './queue-due-runs.ts';
import { createRecall } from './recall-put-off.ts';
import { createCohortRefresher } from './refresh-cohorts.ts';
import { applyPushes, expirePushes } from './sources/pushed/apply-pushes.ts';

export interface Scheduler {
  /** Waits for the beats that are under way, for a bounded time. */
  stop(): Promise<void>;
}

/** Beats once a second. */
export function startScheduler(deps: SyncDeps): Scheduler {
  const recall = createRecall(deps);
  const refresher = createCohortRefresher(deps);
  const beats = createBeats({ logger: deps.logger, asides: [refresher] });
  const everySecond = '* * * * * *';
  // One after the other, so that they share a connection; what may take longer has a beat of its own.
  beats.at(everySecond, {
    'bringing times forward': recall,
    'queueing due runs': () => queueDueRuns(deps),
    'calling parked runs': () => callParkedRuns(deps),
  });
  beats.at(everySecond, { 'refreshing cohorts': refresher.begin });
  beats.at(everySecond, { 'applying what was pushed': (signal) => applyPushes(deps, signal) });
  beats.at(everySecond, { 'indexing people': () => indexPeople(deps.db, deps.clock.now()) });
  beats.at('*/10 * * * * *', {
    'deleting old ledgers': (signal) => forgetLedgers(deps, signal),
    'dropping what was pushed in part': () => expirePushes(deps),
  });
  return { stop: beats.stop };
}
