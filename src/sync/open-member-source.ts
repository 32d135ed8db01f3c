import { findWaitMs } from '../../db/queries/mixpanel-query.ts';
import type { RunScope } from '../../db/queries/run-scope.ts';
import type { SyncDeps } from './deps.ts';
import { limitMixpanel, QUERIES_USED_UP } from './limit-mixpanel.ts';
import { mixpanelClientOf } from './mixpanel-client-of.ts';
import { hourBudgetOf } from './query-budget.ts';
import type { ReadSourceOptions } from './read-source.ts';
import { createFileSource } from './sources/file/member-source.ts';
import { QueriesUsedUpError } from './sources/mixpanel/errors.ts';
import { createMixpanelSource } from './sources/mixpanel/member-source.ts';
import { applyPushesNow } from './sources/pushed/apply-pushes.ts';
import { createPushedSource } from './sources/pushed/member-source.ts';
import { type MemberSource, SourceError } from './sources/source.ts';

export interface OpenedSource {
  source: MemberSource;
  /** Approximate; decides how the work is cut up, and what progress is measured by. */
  expectedPeople: number;
  /** Before each read. Throws QueriesUsedUpError when there is no query for it: nothing else need be done then. */
  beforeRead: () => Promise<void>;
}

/** Where the people of a cohort are read from. Throws SourceError when there is nowhere. */
export async function openMemberSource(
  deps: SyncDeps,
  { cohort, mixpanel }: Pick<RunScope, 'cohort' | 'mixpanel'>,
  options: Pick<ReadSourceOptions, 'attempt' | 'retryBudgetMs' | 'onPhase' | 'signal' | 'waitFor'>,
): Promise<OpenedSource> {
  const { attempt, retryBudgetMs, onPhase, waitFor } = options;
  const expectedPeople = cohort.member_count ?? 0;
  if (cohort.source === 'FILE') {
    return {
      source: createFileSource({ db: deps.db, cohortId: cohort.id }),
      expectedPeople,
      beforeRead: async () => onPhase('READING'),
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
  if (cohort.source === 'MIXPANEL_WEBHOOK') {
    const goOn = waitFor?.('SOURCE_BEING_APPLIED');
    const expectedPeople = await applyPushesNow(deps, cohort.id, options.signal).finally(goOn);
    // Nobody knows who is in it: the list is not emptied for that.
    if (expectedPeople === null) {
      throw new SourceError(
        'SOURCE_INCOMPLETE',
        'Mixpanel has not pushed the whole cohort yet. Nothing was changed; a dynamic export runs once it has.',
      );
    }
    return {
      source: createPushedSource({ db: deps.db, cohortId: cohort.id }),
      expectedPeople,
      beforeRead: async () => onPhase('READING'),
    };
  }
  const client = limitMixpanel(deps, {
    project: mixpanel,
    client: mixpanelClientOf(deps, mixpanel),
    ...(attempt ? { run: attempt } : {}),
    onWaiting(forMs) {
      onPhase('WAITING');
      const goOn = waitFor?.('QUERY_QUOTA', forMs);
      return () => {
        goOn?.();
        onPhase('READING');
      };
    },
  });
  return {
    source: createMixpanelSource({
      client,
      cohortId: cohort.external_id,
      retryBudgetMs,
      onWait: waitFor && ((delayMs) => waitFor('RETRY', delayMs)),
    }),
    expectedPeople,
    async beforeRead() {
      const budget = { ...hourBudgetOf(deps.env), now: deps.clock.now() };
      const retryAfterMs = await findWaitMs(deps.db, mixpanel, attempt ?? 'PREVIEW', budget);
      if (retryAfterMs > 0) throw new QueriesUsedUpError(QUERIES_USED_UP, retryAfterMs);
      onPhase('READING');
    },
  };
}
