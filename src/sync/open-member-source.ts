import { reserveQuery } from '../../db/queries/mixpanel-connection.ts';
import type { RunScope } from '../../db/queries/run-scope.ts';
import type { SyncDeps } from './deps.ts';
import { mixpanelClientOf } from './mixpanel-client-of.ts';
import { RunPostponed } from './run-outcome.ts';
import { createFileSource } from './sources/file/member-source.ts';
import { createMixpanelSource } from './sources/mixpanel/member-source.ts';
import { type MemberSource, SourceError } from './sources/source.ts';

export interface OpenedSource {
  source: MemberSource;
  /** Approximate; decides how the work is cut up, and what progress is measured by. */
  expectedPeople: number;
  /** Before each read. Throws RunPostponed when the project's budget of queries is used up. */
  beforeRead: () => Promise<void>;
}

/** Where the people of a cohort are read from. Throws SourceError when there is nowhere. */
export function openMemberSource(
  deps: SyncDeps,
  { cohort, mixpanel }: Pick<RunScope, 'cohort' | 'mixpanel'>,
  retryBudgetMs: number,
): OpenedSource {
  const expectedPeople = cohort.member_count ?? 0;
  if (cohort.source === 'FILE') {
    return {
      source: createFileSource({ db: deps.db, cohortId: cohort.id }),
      expectedPeople,
      beforeRead: async () => undefined,
    };
  }
  if (!mixpanel) {
    throw new SourceError(
      'SOURCE_UNAUTHORIZED',
      'Mixpanel is not connected. Connect it with connectMixpanel.',
    );
  }
  // Nothing is wrong with the connection, so it is not blamed: another project is connected now.
  if (cohort.source_project_id !== mixpanel.mixpanel_project_id) {
    throw new SourceError(
      'COHORT_NOT_FOUND',
      'The cohort belongs to another Mixpanel project than the connected one. The list stays as it is.',
    );
  }
  if (!cohort.present) {
    throw new SourceError(
      'COHORT_NOT_FOUND',
      'Mixpanel no longer lists this cohort. The list stays as it is; stop the export, or restore the cohort.',
    );
  }
  return {
    source: createMixpanelSource({
      client: mixpanelClientOf(deps, mixpanel),
      cohortId: cohort.external_id,
      retryBudgetMs,
    }),
    expectedPeople,
    async beforeRead() {
      const perHour = deps.env.mixpanel.queriesPerHour;
      const query = await reserveQuery(deps.db, mixpanel, { now: deps.clock.now(), perHour });
      if (!query.granted) {
        throw new RunPostponed(
          `All ${perHour} queries of the hour to Mixpanel are used up.`,
          query.retryAfterMs,
        );
      }
    },
  };
}
