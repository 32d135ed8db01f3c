import { setTimeout as wait } from 'node:timers/promises';
import type { RunAttempt } from '../../db/queries/active-run.ts';
import type { MixpanelProject } from '../../db/queries/mixpanel-line.ts';
import {
  forgetQuery,
  holdQueries,
  type QueryFor,
  reserveQuery,
  settleQuery,
} from '../../db/queries/mixpanel-query.ts';
import type { SyncDeps } from './deps.ts';
import { hourBudgetOf } from './query-budget.ts';
import type { MixpanelClient } from './sources/mixpanel/client.ts';
import {
  MixpanelBusyError,
  MixpanelQuotaError,
  MixpanelUnauthorizedError,
  QueriesUsedUpError,
} from './sources/mixpanel/errors.ts';

export const QUERIES_USED_UP = 'All queries of the hour to Mixpanel are used up';

const HOUR_MS = 3_600_000;
/** When Mixpanel does not say how long. Not shorter, because it may count what it refuses. */
const HOLD_MS = 300_000;
/** How often a read that waits in its middle looks at the clock. */
const LOOK_MS = 1_000;

/**
 * The client, within the limits that all processes share. It waits for a slot before each request, and takes out of the
 * hour's budget what Mixpanel counts: the cohort list and the first page of a read, with every retry of them. Throws
 * QueriesUsedUpError for these. Later pages wait where they are, because Mixpanel keeps the session of a read.
 */
export function limitMixpanel(
  { db, clock, env, logger, mixpanelSlots }: SyncDeps,
  options: {
    project: MixpanelProject;
    client: MixpanelClient;
    /** Whose read it is; nobody's for the cohort list and for a preview. */
    run?: RunAttempt;
    /** Told when a later page begins to wait, and how long; what it gives is called when that is over. */
    onWaiting?: (forMs: number) => () => void;
  },
): MixpanelClient {
  const { project, client, run, onWaiting } = options;
  const never = new AbortController().signal;

  async function send<T>(queryFor: QueryFor | undefined, act: () => Promise<T>, signal: AbortSignal) {
    return await mixpanelSlots.use(project, signal, async () => {
      try {
        return queryFor === undefined ? await act() : await count(queryFor, act);
      } catch (error) {
        throw await share(error);
      }
    });
  }

  async function count<T>(queryFor: QueryFor, act: () => Promise<T>): Promise<T> {
    const query = await reserveQuery(db, project, queryFor, { ...hourBudgetOf(env), now: clock.now() });
    if (!query.granted) throw new QueriesUsedUpError(QUERIES_USED_UP, query.retryAfterMs);
    const settle = () => settleQuery(db, query.queryId, clock.now());
    let answer: T;
    try {
      answer = await act();
    } catch (error) {
      // Whoever may not read a project must not use up the queries of those who may.
      if (error instanceof MixpanelUnauthorizedError) await forgetQuery(db, query.queryId);
      else await settle();
      throw error;
    }
    await settle();
    return answer;
  }

  /** What Mixpanel says of its limits holds for everybody who reads the project. */
  async function share(error: unknown): Promise<unknown> {
    if (error instanceof MixpanelBusyError) await mixpanelSlots.pause(project, error.retryAfterMs);
    if (!(error instanceof MixpanelQuotaError)) return error;
    const holdMs = Math.min(error.retryAfterMs ?? HOLD_MS, HOUR_MS);
    await holdQueries(db, project, new Date(clock.now().getTime() + holdMs));
    return new QueriesUsedUpError(error.message.replace(/\.$/, ''), holdMs, error);
  }

  async function waitInside({ message: reason, retryAfterMs }: QueriesUsedUpError, signal: AbortSignal) {
    logger.info({ ...run, retryAfterMs, reason }, 'a read waits in its middle');
    const until = clock.now().getTime() + retryAfterMs;
    const goOn = onWaiting?.(retryAfterMs);
    while (clock.now().getTime() < until) {
      await wait(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    goOn?.();
  }

  return {
    listCohorts: ({ signal = never } = {}) =>
      send('COHORT_LIST', () => client.listCohorts({ signal }), signal),
    async queryMembers(asked) {
      const { page, signal = never } = asked;
      const act = () => client.queryMembers(asked);
      if (page === 0) return await send(run ?? 'PREVIEW', act, signal);
      for (;;) {
        try {
          return await send(env.mixpanel.countEveryPage ? 'LATER_PAGE' : undefined, act, signal);
        } catch (error) {
          if (!(error instanceof QueriesUsedUpError)) throw error;
          await waitInside(error, signal);
        }
      }
    },
  };
}
