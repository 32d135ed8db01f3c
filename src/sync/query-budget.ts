import type { HourBudget } from '../../db/queries/mixpanel-query.ts';
import type { Env } from '../env.ts';

const HOUR_MS = 3_600_000;

type Settings = Pick<Env, 'cohortRefreshIntervalMs' | 'mixpanel'>;

/** How the hour's queries divide between the cohort list and the runs, of whom one an hour is always left. Pure. */
export function hourBudgetOf({ mixpanel, cohortRefreshIntervalMs }: Settings): HourBudget {
  const perHour = mixpanel.queriesPerHour;
  const refreshes = Math.ceil(HOUR_MS / cohortRefreshIntervalMs);
  return { perHour, listShare: Math.max(0, Math.min(refreshes, perHour - 1)) };
}
