import { withRetries } from '../../retry.ts';
import { type MemberSource, SourceError } from '../source.ts';
import type { MixpanelClient } from './client.ts';
import {
  CohortUnknownError,
  MixpanelBusyError,
  MixpanelError,
  MixpanelPlanError,
  MixpanelUnauthorizedError,
  SessionLostError,
} from './errors.ts';
import type { MembersAnswer } from './read-page.ts';

/** Mixpanel takes five queries of a project at a time. */
const PAGES_AT_ONCE = 5;

/**
 * A cohort as engage gives it: the first page opens a session, then up to five pages at a time. Throws QueriesUsedUpError
 * when there is no query for it, SessionLostError when Mixpanel has forgotten the session, SourceError otherwise.
 */
export function createMixpanelSource(options: {
  client: MixpanelClient;
  cohortId: string;
  retryBudgetMs: number;
  /** Told of each wait before a request is made again; what it gives is called when that is over. */
  onWait?: ((delayMs: number) => () => void) | undefined;
}): MemberSource {
  const { client, cohortId } = options;
  // A second read is made because the first was not whole: its total may count people who come twice.
  let isTotalDoubted = false;
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
            { budgetMs: options.retryBudgetMs, signal, onWait: options.onWait },
          );
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof CohortUnknownError)
            throw await explainRefusal(client, cohortId, error, signal);
          throw toSourceError(error, page);
        }
      };

      const first = await query(0);
      const { sessionId, total } = first;
      const pages = createPages(first, { isTotalDoubted });
      isTotalDoubted = true;
      await onPage({ number: 0, members: first.members, unreadable: first.unreadable, total });
      let failed = false;

      /** On its own, so that nobody holds the page any more while the next one is waited for. */
      async function readOne(number: number) {
        const { members, unreadable } = await query(number, sessionId);
        pages.note(number, members.length + unreadable);
        await onPage({ number, members, unreadable, total });
      }

      async function readInTurn() {
        while (!failed) {
          const number = pages.next();
          if (number === undefined) return;
          try {
            await readOne(number);
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

/**
 * Which pages are still to be asked for. Without a total a page that is not full is the last one. So it is with a total
 * that is doubted, or that a page goes beyond (somebody comes twice, or the cohort has grown), up to double the total.
 */
function createPages(
  { pageSize, total, members, unreadable }: MembersAnswer,
  { isTotalDoubted }: { isTotalDoubted: boolean },
) {
  let next = 1;
  let isEndSeen = false;
  let isBeyond = isTotalDoubted;
  const pages = {
    next(): number | undefined {
      const end = total === null ? Number.POSITIVE_INFINITY : isBeyond ? 2 * total : total;
      return isEndSeen || next * pageSize >= end ? undefined : next++;
    },
    note(number: number, rows: number) {
      const read = number * pageSize + rows;
      if (rows < pageSize) isEndSeen ||= total === null || read >= total || rows === 0;
      else if (total !== null && read > total) isBeyond = true;
    },
  };
  pages.note(0, members.length + unreadable);
  return pages;
}

/** A refused read may be of a cohort that was deleted, or of anything else: the cohort list tells. */
async function explainRefusal(
  client: MixpanelClient,
  cohortId: string,
  error: CohortUnknownError,
  signal: AbortSignal,
): Promise<Error> {
  const options = { cause: error };
  const ids = await listIds(client, signal);
  if (ids === undefined || ids.has(cohortId)) {
    return new SourceError(
      'SOURCE_UNAVAILABLE',
      `Mixpanel refused to read the cohort${ids ? ', which it lists' : ''}: ${error.message} The list stays as it is; the next run tries again.`,
      options,
    );
  }
  return new SourceError(
    'COHORT_NOT_FOUND',
    `${error.message} Mixpanel does not list the cohort any more, so it was probably deleted in Mixpanel; the list stays as it is.`,
    options,
  );
}

/** Undefined when the list cannot be read now. */
async function listIds(client: MixpanelClient, signal: AbortSignal): Promise<Set<string> | undefined> {
  try {
    const { cohorts, unreadableIds } = await client.listCohorts({ signal });
    return new Set([...cohorts.map(({ id }) => id), ...unreadableIds]);
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

/** A read that breaks off after its first page is one that is not whole; before it there was none. */
function toSourceError(error: unknown, page: number): unknown {
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
  if (error instanceof MixpanelBusyError) {
    return new SourceError(
      'SOURCE_QUOTA_EXHAUSTED',
      `${error.message} Others use the project's queries too; the next run tries again.`,
      options,
    );
  }
  if (page > 0) {
    return new SourceError(
      'SOURCE_INCOMPLETE',
      `The read of the cohort broke off at page ${page}: ${error.message} Nothing was changed; the next run reads it again.`,
      options,
    );
  }
  return new SourceError('SOURCE_UNAVAILABLE', `${error.message} The next run tries again.`, options);
}
