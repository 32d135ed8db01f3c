import { listMixpanelCohorts } from '../../db/queries/cohort.ts';
import { findMixpanel } from '../../db/queries/integration.ts';
import { countQueriesLastHour } from '../../db/queries/mixpanel-query.ts';
import type { CohortRow, MixpanelConnectionRow } from '../../db/tables.ts';
import type { Context } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import { MUTATION_BUDGET_MS } from '../sync/connect-iterable.ts';
import * as connecting from '../sync/connect-mixpanel.ts';
import * as refreshing from '../sync/refresh-cohorts.ts';
import { newEndpoint, openEndpoint, type WebhookEndpoint } from '../sync/webhook-endpoint.ts';
import { hasRole } from './api-token.ts';

export function readMixpanel({ viewer, sync }: Context): Promise<MixpanelConnectionRow | undefined> {
  return findMixpanel({ db: sync.db, projectId: viewer.project.id });
}

/** Throws when Mixpanel is not connected. */
export async function requireMixpanel(ctx: Context): Promise<MixpanelConnectionRow> {
  const connection = await readMixpanel(ctx);
  if (connection) return connection;
  throw new CohortSyncError(
    'MIXPANEL_NOT_CONNECTED',
    'Mixpanel is not connected. Connect it with connectMixpanel.',
  );
}

/** Reading cohorts and importing events are refused apart; either needs somebody to see to it. */
export function readAttention(connection: MixpanelConnectionRow): string | null {
  const { attention, import_attention: importAttention } = connection;
  return [attention, importAttention].filter((text) => text !== null).join(' ') || null;
}

export function countQueries({ sync }: Context, connection: MixpanelConnectionRow): Promise<number> {
  return countQueriesLastHour(sync.db, connection, sync.clock.now());
}

export function connectMixpanel(
  { viewer, sync }: Context,
  input: connecting.ConnectMixpanelInput,
): Promise<MixpanelConnectionRow> {
  return connecting.connectMixpanel(sync, { projectId: viewer.project.id, input });
}

export function disconnectMixpanel({ viewer, sync }: Context): Promise<boolean> {
  return connecting.disconnectMixpanel(sync, viewer.project.id);
}

/** The list as Mixpanel gives it now. */
export async function refreshCohorts(ctx: Context): Promise<CohortRow[]> {
  await refreshing.refreshCohorts(ctx.sync, await requireMixpanel(ctx), { budgetMs: MUTATION_BUDGET_MS });
  return await listMixpanelCohorts({ db: ctx.sync.db, projectId: ctx.viewer.project.id });
}

/** Where Mixpanel is to push cohorts; null below ADMIN, because it holds a password. */
export async function readWebhook(
  { viewer, sync }: Context,
  connection: MixpanelConnectionRow,
): Promise<WebhookEndpoint | undefined> {
  return hasRole(viewer, 'ADMIN') ? await openEndpoint(sync, connection.project_id, 'MIXPANEL') : undefined;
}

export async function replaceWebhook(ctx: Context): Promise<WebhookEndpoint> {
  const { project_id } = await requireMixpanel(ctx);
  return await newEndpoint(ctx.sync, project_id, 'MIXPANEL');
}
