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

/** Refreshes every connection whose time has come; without a query for it, as soon as there is one. Failures are logged. */
export async function refreshDueCohorts(deps: SyncDeps): Promise<void> {
  const now = deps.clock.now();
  const due = await takeDueConnections(
    deps.db,
    now,
    new Date(now.getTime() + deps.env.cohortRefreshIntervalMs),
  );
  await Promise.all(due.map((connection) => refreshDue(deps, connection, now)));
}

async function refreshDue(deps: SyncDeps, connection: MixpanelConnectionRow, now: Date): Promise<void> {
  try {
    await refreshCohorts(deps, connection, { budgetMs: deps.env.partnerRetryBudgetMs });
  } catch (error) {
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

/** One counted query, and one for each retry, within the budget of the hour. Throws CohortSyncError. */
export async function readCohortList(
  deps: SyncDeps,
  project: MixpanelProject,
  client: MixpanelClient,
  budgetMs: number,
): Promise<CohortList> {
  const signal = AbortSignal.timeout(budgetMs);
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
