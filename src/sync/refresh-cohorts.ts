import { type ListedCohort, replaceMixpanelCohorts } from '../../db/queries/mixpanel-cohort.ts';
import {
  reserveQuery,
  setCohortsRefreshed,
  setMixpanelAttention,
  takeDueConnections,
} from '../../db/queries/mixpanel-connection.ts';
import type { MixpanelConnectionRow } from '../../db/tables.ts';
import { CohortSyncError } from '../errors.ts';
import type { SyncDeps } from './deps.ts';
import { mixpanelClientOf } from './mixpanel-client-of.ts';
import { withRetries } from './retry.ts';
import type { MixpanelClient } from './sources/mixpanel/client.ts';
import {
  MixpanelError,
  MixpanelPlanError,
  MixpanelRateLimitedError,
  MixpanelUnauthorizedError,
} from './sources/mixpanel/errors.ts';

/**
 * Reads the cohort list from Mixpanel now: one counted query. Throws RATE_LIMITED when the hour's budget is used up,
 * INVALID_CREDENTIALS or INSUFFICIENT_PERMISSIONS (which the connection then shows), PARTNER_UNAVAILABLE.
 */
export async function refreshCohorts(
  deps: SyncDeps,
  connection: MixpanelConnectionRow,
  options: { budgetMs: number },
): Promise<void> {
  try {
    const listed = await readCohortList(
      deps,
      connection,
      mixpanelClientOf(deps, connection),
      options.budgetMs,
    );
    await deps.db.transaction().execute((trx) => storeCohortList({ ...deps, db: trx }, connection, listed));
  } catch (error) {
    if (error instanceof CohortSyncError && isAttention(error)) {
      await setMixpanelAttention(deps.db, connection.project_id, error.message);
    }
    throw error;
  }
}

/** Refreshes every connection whose time has come. Failures are logged. */
export async function refreshDueCohorts(deps: SyncDeps): Promise<void> {
  const now = deps.clock.now();
  const due = await takeDueConnections(
    deps.db,
    now,
    new Date(now.getTime() + deps.env.cohortRefreshIntervalMs),
  );
  for (const connection of due) {
    try {
      await refreshCohorts(deps, connection, { budgetMs: deps.env.partnerRetryBudgetMs });
    } catch (error) {
      deps.logger.warn(
        { err: error, mixpanelConnectionId: connection.id },
        'the cohort list could not be read',
      );
    }
  }
}

/** One counted query within the budget of the hour. Throws CohortSyncError. */
export async function readCohortList(
  deps: SyncDeps,
  connection: Pick<MixpanelConnectionRow, 'region' | 'mixpanel_project_id'>,
  client: MixpanelClient,
  budgetMs: number,
): Promise<ListedCohort[]> {
  const query = await reserveQuery(deps.db, connection, {
    now: deps.clock.now(),
    perHour: deps.env.mixpanel.queriesPerHour,
  });
  if (!query.granted)
    throw rateLimited('All queries of the hour to Mixpanel are used up', query.retryAfterMs);
  const signal = AbortSignal.timeout(budgetMs);
  try {
    const cohorts = await withRetries(() => client.listCohorts({ signal }), { budgetMs, signal });
    return cohorts.map((cohort) => ({
      externalId: cohort.id,
      name: cohort.name,
      description: cohort.description,
      memberCount: cohort.count,
      exportable: !cohort.isGroup,
    }));
  } catch (error) {
    throw toPublicError(error);
  }
}

/** Keeps the list. db must be a transaction: nobody sees half of it. */
export async function storeCohortList(
  { db, clock, env }: Pick<SyncDeps, 'db' | 'clock' | 'env'>,
  connection: MixpanelConnectionRow,
  listed: ListedCohort[],
): Promise<void> {
  const now = clock.now();
  await replaceMixpanelCohorts(
    db,
    { projectId: connection.project_id, mixpanelProjectId: connection.mixpanel_project_id, now },
    listed,
  );
  await setCohortsRefreshed(db, connection.id, now, new Date(now.getTime() + env.cohortRefreshIntervalMs));
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
  if (error instanceof MixpanelRateLimitedError) {
    return rateLimited(error.message.replace(/\.$/, ''), error.retryAfterMs ?? 60_000, error);
  }
  if (error instanceof MixpanelError) {
    return new CohortSyncError('PARTNER_UNAVAILABLE', `${error.message} Try again in a moment.`, {
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
