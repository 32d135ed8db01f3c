import { withRetries } from '../../retry.ts';
import { type MemberSource, SourceError } from '../source.ts';
import type { MembersAnswer, MixpanelClient } from './client.ts';
import {
  CohortUnknownError,
  MixpanelError,
  MixpanelPlanError,
  MixpanelRateLimitedError,
  MixpanelUnauthorizedError,
  SessionLostError,
} from './errors.ts';

/** Mixpanel takes five queries of a project at a time. */
const PAGES_AT_ONCE = 5;

/**
 * A cohort as engage gives it: the first page opens a session, then up to five pages at a time. Throws SessionLostError
 * when Mixpanel has forgotten the session, SourceError otherwise.
 */
export function createMixpanelSource(options: {
  client: MixpanelClient;
  cohortId: string;
  retryBudgetMs: number;
}): MemberSource {
  const { client, cohortId } = options;
  return {
    async read(onPage, signal) {
      const query = async (page: number, sessionId?: string): Promise<MembersAnswer> => {
        try {
          return await withRetries(
            () =>
              client.queryMembers({
                cohortId,
                page,
                signal,
                ...(sessionId === undefined ? {} : { sessionId }),
              }),
            { budgetMs: options.retryBudgetMs, signal },
          );
        } catch (error) {
          signal.throwIfAborted();
          throw toSourceError(error);
        }
      };

      const first = await query(0);
      const { pageSize, sessionId, total } = first;
      await onPage({ number: 0, members: first.members, total });
      let next = 1;
      let isLastSeen = isLastPage(0, first.members.length, pageSize, total);
      let failed = false;

      async function readInTurn() {
        while (!isLastSeen && !failed) {
          const number = next++;
          if (total !== null && number * pageSize >= total) return;
          try {
            const { members } = await query(number, sessionId);
            if (isLastPage(number, members.length, pageSize, total)) isLastSeen = true;
            await onPage({ number, members, total });
          } catch (error) {
            failed = true;
            throw error;
          }
        }
      }

      const lanes = Array.from({ length: PAGES_AT_ONCE }, readInTurn);
      const results = await Promise.allSettled(lanes);
      const failure = results.find((result) => result.status === 'rejected');
      if (failure) throw failure.reason;
      return { total };
    },
  };
}

/** With a total the pages are known beforehand; without one a page that is not full is the last. */
function isLastPage(number: number, members: number, pageSize: number, total: number | null): boolean {
  return total === null ? members < pageSize : (number + 1) * pageSize >= total;
}

function toSourceError(error: unknown): unknown {
  if (!(error instanceof MixpanelError) || error instanceof SessionLostError) return error;
  const options = { cause: error };
  if (error instanceof MixpanelUnauthorizedError) {
    return new SourceError(
      'SOURCE_UNAUTHORIZED',
      `${error.message} Connect Mixpanel again with a service account that may read this project.`,
      options,
    );
  }
  if (error instanceof MixpanelPlanError)
    return new SourceError('SOURCE_UNAUTHORIZED', error.message, options);
  if (error instanceof MixpanelRateLimitedError) {
    return new SourceError(
      'SOURCE_QUOTA_EXHAUSTED',
      `${error.message} Others use the project's queries too; the next run tries again.`,
      options,
    );
  }
  if (error instanceof CohortUnknownError) {
    return new SourceError(
      'COHORT_NOT_FOUND',
      `${error.message} The cohort was probably deleted in Mixpanel; the list stays as it is.`,
      options,
    );
  }
  return new SourceError('SOURCE_UNAVAILABLE', `${error.message} The next run tries again.`, options);
}
