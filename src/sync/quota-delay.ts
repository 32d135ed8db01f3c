import type { Env } from '../env.ts';

export interface ExportDelay {
  reason: string;
  achievableIntervalMinutes: number;
}

/** What Mixpanel's hourly queries leave of the cadence when this many dynamic exports share them. Pure. */
export function quotaDelay(
  polledExports: number,
  env: Pick<Env, 'dynamicSyncIntervalMs' | 'cohortRefreshIntervalMs' | 'mixpanel'>,
): ExportDelay | null {
  const { queriesPerHour } = env.mixpanel;
  if (queriesPerHour === 0) return null;
  const forRuns = Math.max(1, queriesPerHour - 3_600_000 / env.cohortRefreshIntervalMs);
  const achievableMs = (polledExports * 3_600_000) / forRuns;
  if (achievableMs <= env.dynamicSyncIntervalMs) return null;
  return {
    reason: `Mixpanel allows ${queriesPerHour} queries an hour, and ${polledExports} dynamic exports share them.`,
    achievableIntervalMinutes: achievableMs / 60_000,
  };
}
