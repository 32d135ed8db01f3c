import type { MixpanelProject } from '../../db/queries/mixpanel-line.ts';
import { readQueryState } from '../../db/queries/query-state.ts';
import type { SyncDeps } from './deps.ts';
import { type ExportDelay, queriesForRuns, queriesToRead, quotaDelay } from './query-budget.ts';
import { type DueRun, spreadRuns } from './spread-runs.ts';

/** How the dynamic exports of a Mixpanel project share its queries. */
export interface QuerySchedule {
  /** Null while the budget carries them all: then each is due on its own grid. */
  delay: ExportDelay | null;
  /** Otherwise when each of them is due, by the id of the export. */
  due: Map<number, DueRun>;
}

/**
 * As it is now: it changes when exports begin and stop, and when others use queries. Of a Mixpanel project, or of the one
 * that a project of ours is connected to.
 */
export async function readQuerySchedule(
  { db, clock, env }: Pick<SyncDeps, 'db' | 'clock' | 'env'>,
  of: MixpanelProject | { projectId: string },
): Promise<QuerySchedule> {
  const now = clock.now();
  const forRuns = queriesForRuns(env);
  const state = forRuns === undefined ? undefined : await readQueryState(db, of, now);
  const wishes = (state?.polled ?? []).map(({ memberCount, ...wish }) => ({
    ...wish,
    queries: queriesToRead(memberCount, env),
  }));
  const queriesOfARound = wishes.reduce((sum, wish) => sum + wish.queries, 0);
  const delay = quotaDelay(queriesOfARound, env);
  if (!state || forRuns === undefined || delay === null) return { delay: null, due: new Map() };
  return { delay, due: spreadRuns(wishes, { ...state, now }, forRuns) };
}
