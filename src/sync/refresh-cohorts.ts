import { replaceMixpanelCohorts } from '../../db/queries/mixpanel-cohort.ts';
import {
  advanceRefresh,
  setCohortsRefreshed,
  setMixpanelAttention,
  takeDueConnections,
} from '../../db/queries/mixpanel-connection.ts';
import type { MixpanelProject } from '../../db/queries/mixpanel-line.ts';
import type { MixpanelConnectionRow } from '../../db/tables.ts';
import { CohortSyncError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { limitMixpanel } from './limit-mixpanel.ts';
import { mixpanelClientOf } from './mixpanel-client-of.ts';
import { retryAdvice } from './partner-http.ts';
import { withRetries } from './retry.ts';
import { shorten } from './shorten.ts';
import type { CohortList, MixpanelClient } from './sources/mixpanel/client.ts';
import {
  MixpanelBusyError,
  MixpanelError,
  MixpanelPlanError,
  MixpanelQuotaError,
  MixpanelUnauthorizedError,
  QueriesUsedUpError,
} from './sources/mixpanel/errors.ts';

/**
 * Reads the cohort list from Mixpanel now: one counted query. Throws RATE_LIMITED when the hour's budget is used up,
 * INVALID_CREDENTIALS or INSUFFICIENT_PERMISSIONS (which the connection then shows), PARTNER_UNAVAILABLE.
 */
export async function refreshCohorts(
  deps: SyncDeps,
  connection: MixpanelConnectionRow,
  options: { budgetMs: number; signal?: AbortSignal },
): Promise<void> {
  try {
    const listed = await readCohortList(deps, connection, mixpanelClientOf(deps, connection), options);
    await deps.db.transaction().execute((trx) => storeCohortList({ ...deps, db: trx }, connection, listed));
  } catch (error) {
    if (error instanceof CohortSyncError && isAttention(error)) {
      await setMixpanelAttention(deps.db, connection.project_id, error.message);
    }
    throw error;
  }
}

/** Begun at a beat; the next ones begin the rest. */
const REFRESHES_A_BEAT = 20;
/** Each is a request that waits for an answer, and little else. */
const REFRESHES_AT_ONCE = 200;

export interface CohortRefresher {
  /** Begins to refresh every connection whose time has come, and waits for none: a Mixpanel that is silent holds up nobody else. */
  begin(): Promise<void>;
  /** Breaks off what is under way; it is due again at once. */
  stop(): Promise<void>;
}

/** Failures are logged. What has no query is due again as soon as there is one. */
export function createCohortRefresher(deps: SyncDeps): CohortRefresher {
  const stopping = new AbortController();
  const underWay = new Map<string, Promise<void>>();

  async function refresh(connection: MixpanelConnectionRow, now: Date) {
    try {
      const options = { budgetMs: deps.env.partnerRetryBudgetMs, signal: stopping.signal };
      await refreshCohorts(deps, connection, options);
    } catch (error) {
      if (stopping.signal.aborted) return await advanceRefresh(deps.db, connection.id, now);
      deps.logger.warn(
        { err: error, mixpanelConnectionId: connection.id },
        'the cohort list could not be read',
      );
      if (error instanceof CohortSyncError && error.code === 'RATE_LIMITED') {
        const retryAfterMs = Number(error.extensions.retryAfterSeconds) * 1000;
        await advanceRefresh(deps.db, connection.id, new Date(now.getTime() + retryAfterMs));
      }
    }
  }

  function refreshAside(connection: MixpanelConnectionRow, now: Date) {
    const { id } = connection;
    const refreshing = refresh(connection, now)
      .catch((error) => {
        if (stopping.signal.aborted) return;
        deps.logger.warn({ err: error, mixpanelConnectionId: id }, 'a refresh was not noted');
      })
      .finally(() => underWay.delete(id));
    underWay.set(id, refreshing);
  }

  return {
    async begin() {
      const places = Math.min(REFRESHES_A_BEAT, REFRESHES_AT_ONCE - underWay.size);
      if (places <= 0 || stopping.signal.aborted) return;
      const now = deps.clock.now();
      const nextAt = new Date(now.getTime() + deps.env.cohortRefreshIntervalMs);
      for (const connection of await takeDueConnections(deps.db, { now, nextAt, limit: places })) {
        // One that has been silent for longer than the interval is not asked again meanwhile.
        if (!underWay.has(connection.id)) refreshAside(connection, now);
      }
    },
    async stop() {
      stopping.abort();
      await Promise.all(underWay.values());
    },
  };
}

/** One counted query, and one for each retry, within the budget of the hour. Throws CohortSyncError. */
export async function readCohortList(
  deps: SyncDeps,
  project: MixpanelProject,
  client: MixpanelClient,
  { budgetMs, signal: ended }: { budgetMs: number; signal?: AbortSignal },
): Promise<CohortList> {
  const deadline = AbortSignal.timeout(budgetMs);
  const signal = ended ? AbortSignal.any([deadline, ended]) : deadline;
  const limited = limitMixpanel(deps, { project, client });
  try {
    return await withRetries(() => limited.listCohorts({ signal }), { budgetMs, signal });
  } catch (error) {
    throw toPublicError(error);
  }
}

/** Keeps the list. db must be a transaction: nobody sees half of it. */
export async function storeCohortList(
  { db, clock, env }: Pick<SyncDeps, 'db' | 'clock' | 'env'>,
  connection: MixpanelConnectionRow,
  { cohorts, unreadable, unreadableIds }: CohortList,
): Promise<void> {
  const now = clock.now();
  await replaceMixpanelCohorts(
    db,
    { projectId: connection.project_id, mixpanelProjectId: connection.mixpanel_project_id, now },
    cohorts.map((cohort) => ({
      externalId: cohort.id,
      name: cohort.name,
      description: cohort.description,
      memberCount: cohort.count,
      exportable: !cohort.isGroup,
    })),
    unreadableIds,
  );
  await setCohortsRefreshed(db, connection.id, {
    at: now,
    nextAt: new Date(now.getTime() + env.cohortRefreshIntervalMs),
    note: unreadable === 0 ? null : unreadableNote(unreadable, unreadableIds),
  });
}

/** Of those that are told of. */
const IDS_SHOWN = 10;

function unreadableNote(rows: number, ids: string[]): string {
  const rest = ids.length - IDS_SHOWN;
  const shown = ids.slice(0, IDS_SHOWN).map((id) => shorten(id, 40));
  const named = ids.length === 0 ? '' : ` (${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''})`;
  return `Of the cohorts that Mixpanel lists ${rows} could not be read${named}: they have no name or no id. They are left out, or stay as they were.`;
}

function isAttention(error: CohortSyncError): boolean {
  return error.code === 'INVALID_CREDENTIALS' || error.code === 'INSUFFICIENT_PERMISSIONS';
}

function toPublicError(error: unknown): unknown {
  if (error instanceof MixpanelUnauthorizedError) {
    return new CohortSyncError(
      'INVALID_CREDENTIALS',
      `${error.message} Check the service account, the project id and the region.`,
      { cause: error },
    );
  }
  if (error instanceof MixpanelPlanError) {
    return new CohortSyncError('INSUFFICIENT_PERMISSIONS', error.message, { cause: error });
  }
  if (error instanceof QueriesUsedUpError) return rateLimited(error.message, error.retryAfterMs, error);
  if (error instanceof MixpanelBusyError || error instanceof MixpanelQuotaError) {
    return rateLimited(error.message.replace(/\.$/, ''), error.retryAfterMs ?? 60_000, error);
  }
  if (error instanceof MixpanelError) {
    return new CohortSyncError('PARTNER_UNAVAILABLE', `${error.message}${retryAdvice(error)}`, {
      cause: error,
    });
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return new CohortSyncError(
      'PARTNER_UNAVAILABLE',
      'Mixpanel did not answer in time. Try again in a moment.',
      {
        cause: error,
      },
    );
  }
  return error;
}

function rateLimited(what: string, retryAfterMs: number, cause?: unknown): CohortSyncError {
  const retryAfterSeconds = Math.ceil(retryAfterMs / 1000);
  return new CohortSyncError('RATE_LIMITED', `${what}; try again in ${retryAfterSeconds} seconds.`, {
    cause,
    extensions: { retryAfterSeconds },
  });
}
