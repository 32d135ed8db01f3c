import type { HourBudget } from '../../db/queries/mixpanel-query.ts';
import type { Env } from '../env.ts';

const HOUR_MS = 3_600_000;
/** What Mixpanel gives on a page unless asked otherwise. */
const PEOPLE_PER_PAGE = 1_000;

type Settings = Pick<Env, 'dynamicSyncIntervalMs' | 'cohortRefreshIntervalMs' | 'mixpanel'>;

/** How the hour's queries divide between the cohort list and the runs, of whom one an hour is always left. Pure. */
export function hourBudgetOf({ mixpanel, cohortRefreshIntervalMs }: Settings): HourBudget {
  const perHour = mixpanel.queriesPerHour;
  const refreshes = Math.ceil(HOUR_MS / cohortRefreshIntervalMs);
  return { perHour, listShare: Math.max(0, Math.min(refreshes, perHour - 1)) };
}

/** What a read of so many people costs. Pure. */
export function queriesToRead(people: number | null, { mixpanel }: Settings): number {
  return mixpanel.countEveryPage ? Math.max(1, Math.ceil((people ?? 0) / PEOPLE_PER_PAGE)) : 1;
}

/** How many queries an hour the runs have; undefined: any number. */
export function queriesForRuns(env: Settings): number | undefined {
  const { perHour, listShare } = hourBudgetOf(env);
  return perHour === 0 ? undefined : perHour - listShare;
}

export interface ExportDelay {
  reason: string;
  achievableIntervalMinutes: number;
}

/** When one round of the dynamic exports of a Mixpanel project costs more than their interval gives. Pure. */
export function quotaDelay(queriesOfARound: number, env: Settings): ExportDelay | null {
  const forRuns = queriesForRuns(env);
  if (forRuns === undefined) return null;
  const achievableMs = (queriesOfARound * HOUR_MS) / forRuns;
  if (achievableMs <= env.dynamicSyncIntervalMs) return null;
  return {
    reason: `Mixpanel allows ${env.mixpanel.queriesPerHour} queries an hour for the project, and its dynamic exports ask for more: they take turns.`,
    achievableIntervalMinutes: achievableMs / 60_000,
  };
}
