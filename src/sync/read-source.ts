import type { RunAttempt } from '../../db/queries/active-run.ts';
import { countListed } from '../../db/queries/list-block.ts';
import { clearMixpanelAttention } from '../../db/queries/mixpanel-connection.ts';
import type { RunScope } from '../../db/queries/run-scope.ts';
import type { CollectedMembers } from './collect-members.ts';
import type { SyncDeps } from './deps.ts';
import { type IdentityRules, idMergeOf, missingIdentityMessage } from './identity.ts';
import { type ListedPeople, loadListedPeople, NOBODY_LISTED, partsFor } from './listed-people.ts';
import { openMemberSource } from './open-member-source.ts';
import { readMembers } from './read-members.ts';
import { readPeople } from './read-people.ts';
import { RunFailure, RunPostponed } from './run-outcome.ts';
import type { WaitFor } from './run-reporter.ts';
import { QueriesUsedUpError } from './sources/mixpanel/errors.ts';

export interface ReadSource {
  members: CollectedMembers;
  /** Whom they were compared with while they came in; undefined: what we know of the list was not to be relied on yet. */
  listed: ListedPeople | undefined;
  /** Rows that name nobody, and were left out. */
  unreadable: number;
}

export interface ReadSourceOptions {
  scope: Omit<RunScope, 'export'>;
  /** Whose list the members are compared with while they come in; undefined: with nobody's. */
  reliableExportId: number | undefined;
  signal: AbortSignal;
  /** How long one request is retried. */
  retryBudgetMs: number;
  /** Of the failure when nobody has an identity. */
  isRetryable: boolean;
  /** Of the run that reads; undefined: none does, and then it goes behind all that wait for a query. */
  attempt: RunAttempt | undefined;
  onPhase: (phase: 'WAITING' | 'READING') => void;
  /** Told what is waited for; undefined: nobody looks. */
  waitFor: WaitFor | undefined;
  /** Told the share of the people that has been read, 0 to 1. */
  onProgress: (share: number) => void;
}

/**
 * Everybody in the cohort, compared with the list as far as that is known. Throws SourceError, RunPostponed, and RunFailure
 * NO_MEMBER_HAS_IDENTITY. The caller closes the members.
 */
export async function readSource(deps: SyncDeps, options: ReadSourceOptions): Promise<ReadSource> {
  const { scope, reliableExportId } = options;
  const { cohort, integration, mixpanel } = scope;
  const rules: IdentityRules = {
    projectType: integration.project_type!,
    idMerge: idMergeOf(cohort.source, mixpanel?.id_merge),
    userIdFallback: integration.user_id_fallback!,
  };
  const { source, beforeRead, expectedPeople } = await openMemberSource(deps, scope, options);
  const { members, listed, unreadable } = await readMembers({
    source,
    rules,
    loadListed: () => loadReliable(deps, reliableExportId),
    expectedPeople,
    signal: options.signal,
    beforeRead,
    onProgress: options.onProgress,
  }).catch((error) => {
    throw error instanceof QueriesUsedUpError
      ? new RunPostponed(`${error.message}.`, error.retryAfterMs)
      : error;
  });
  if (mixpanel && cohort.source === 'MIXPANEL') await clearMixpanelAttention(deps.db, mixpanel.id);
  if (members.unique > 0 && members.withIdentity === 0) {
    await members.close();
    throw new RunFailure('NO_MEMBER_HAS_IDENTITY', missingIdentityMessage(rules, cohort.source), {
      retryable: options.isRetryable,
    });
  }
  return { members, listed: reliableExportId === undefined ? undefined : listed, unreadable };
}

async function loadReliable({ db, env }: SyncDeps, exportId: number | undefined) {
  if (exportId === undefined) {
    return { listed: NOBODY_LISTED, readDistinctIds: async () => new Map<number, null>() };
  }
  const people = await countListed(db, exportId);
  const listed = await loadListedPeople(db, exportId, {
    index: 0,
    parts: partsFor(people, env.comparisonMemoryPeople),
  });
  const readDistinctIds = async (numbers: number[]) => {
    const known = await readPeople(db, listed, numbers);
    return new Map([...known].map(([number, person]) => [number, person.distinctId]));
  };
  return { listed, readDistinctIds };
}
