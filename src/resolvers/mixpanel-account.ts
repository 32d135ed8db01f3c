import { listMixpanelCohorts } from '../../db/queries/cohort.ts';
import { findMixpanel } from '../../db/queries/integration.ts';
import { countQueriesLastHour } from '../../db/queries/mixpanel-query.ts';
import type { CohortRow, MixpanelConnectionRow } from '../../db/tables.ts';
import type { IntegrationStatus } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import { MUTATION_BUDGET_MS } from '../sync/connect-iterable.ts';
import * as connecting from '../sync/connect-mixpanel.ts';
import * as refreshing from '../sync/refresh-cohorts.ts';
import { openEndpoint, replaceEndpoint, type WebhookEndpoint } from '../sync/webhook-endpoint.ts';
import { hasRole } from './api-token.ts';

/** A row, or what it was until it was disconnected. */
export type MixpanelAccount = Omit<MixpanelConnectionRow, 'status'> & { status: IntegrationStatus };

/** Cohorts in the answer of refreshCohorts. Mixpanel lists any number; the others are a page of cohorts away. */
export const MAX_REFRESHED_COHORTS = 1_000;

export function readMixpanel({ viewer, sync }: Context): Promise<MixpanelConnectionRow | undefined> {
  return findMixpanel({ db: sync.db, projectId: viewer.project.id });
}

/** Throws when Mixpanel is not connected. */
export async function requireMixpanel(ctx: Context): Promise<MixpanelConnectionRow> {
  const account = await readMixpanel(ctx);
  if (account) return account;
  throw new CohortSyncError(
    'MIXPANEL_NOT_CONNECTED',
    'Mixpanel is not connected. Connect it with connectMixpanel.',
  );
}

/** Reading cohorts and importing events are refused apart; either needs somebody to see to it. */
export function readAttention(account: MixpanelAccount): string | null {
  const { attention, import_attention: importAttention } = account;
  return [attention, importAttention].filter((text) => text !== null).join(' ') || null;
}

export function readStatus(account: MixpanelAccount): IntegrationStatus {
  if (account.status === 'DISCONNECTED') return 'DISCONNECTED';
  return readAttention(account) === null ? 'CONNECTED' : 'NEEDS_ATTENTION';
}

export function countQueries({ sync }: Context, account: MixpanelAccount): Promise<number> {
  return countQueriesLastHour(sync.db, account, sync.clock.now());
}

export function connectMixpanel(
  { viewer, sync }: Context,
  input: connecting.ConnectMixpanelInput,
): Promise<MixpanelConnectionRow> {
  return connecting.connectMixpanel(sync, { projectId: viewer.project.id, actor: viewer.tokenName, input });
}

/** What was disconnected, so that caches see it change; undefined when nothing was connected. */
export async function disconnectMixpanel({ viewer, sync }: Context): Promise<MixpanelAccount | undefined> {
  const account = await connecting.disconnectMixpanel(sync, viewer.project.id);
  return account && { ...account, status: 'DISCONNECTED', attention: null, import_attention: null };
}

/** The list as Mixpanel gives it now, the first by name. */
export async function refreshCohorts(ctx: Context): Promise<CohortRow[]> {
  await refreshing.refreshCohorts(ctx.sync, await requireMixpanel(ctx), { budgetMs: MUTATION_BUDGET_MS });
  const scope = { db: ctx.sync.db, projectId: ctx.viewer.project.id };
  return await listMixpanelCohorts(scope, { limit: MAX_REFRESHED_COHORTS });
}

/** Where Mixpanel is to push cohorts; null below ADMIN, because it holds a password. */
export async function readWebhook(
  { viewer, sync }: Context,
  account: MixpanelAccount,
): Promise<WebhookEndpoint | undefined> {
  return hasRole(viewer, 'ADMIN') ? await openEndpoint(sync, account.project_id, 'MIXPANEL') : undefined;
}

export async function replaceWebhook(ctx: Context): Promise<MixpanelAccount> {
  const account = await requireMixpanel(ctx);
  await replaceEndpoint(ctx.sync, account.project_id, 'MIXPANEL');
  return account;
}
