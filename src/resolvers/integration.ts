import { findIntegrationOf, listIntegrations } from '../../db/queries/integration.ts';
import type { IntegrationRow } from '../../db/tables.ts';
import type { Provider } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import { type ConnectIterableInput, connectIterable } from '../sync/connect-iterable.ts';
import { disconnectIterable } from '../sync/disconnect-iterable.ts';
import { replaceEndpoint, type WebhookEndpoint } from '../sync/webhook-endpoint.ts';
import { hasRole } from './api-token.ts';

export function readIntegrations({ viewer, sync }: Context): Promise<IntegrationRow[]> {
  return listIntegrations({ db: sync.db, projectId: viewer.project.id });
}

export function readIntegration({ viewer, sync }: Context, provider: Provider): Promise<IntegrationRow> {
  return findIntegrationOf({ db: sync.db, projectId: viewer.project.id }, provider);
}

/** Throws when the provider is not connected. One that needs attention still is. */
export async function requireIntegration(ctx: Context, provider: Provider): Promise<IntegrationRow> {
  const integration = await readIntegration(ctx, provider);
  if (integration.status !== 'DISCONNECTED') return integration;
  throw new CohortSyncError(
    'INTEGRATION_NOT_CONNECTED',
    'Iterable is not connected. Connect it with connectIntegration.',
  );
}

export function connectIntegration(
  { viewer, sync }: Context,
  input: ConnectIterableInput,
): Promise<IntegrationRow> {
  return connectIterable(sync, { projectId: viewer.project.id, actor: viewer.tokenName, input });
}

export async function disconnectIntegration(ctx: Context, provider: Provider): Promise<IntegrationRow> {
  return await disconnectIterable(ctx.sync, await readIntegration(ctx, provider), ctx.viewer.tokenName);
}

/** Where Iterable is to send its events; null below ADMIN, because it holds a password, and before the first connection. */
export async function readWebhook(
  { viewer, load }: Context,
  integration: IntegrationRow,
): Promise<WebhookEndpoint | undefined> {
  if (!hasRole(viewer, 'ADMIN') || integration.connected_at === null) return undefined;
  return await load.webhook.load(integration.provider);
}

export async function replaceWebhook(ctx: Context, provider: Provider): Promise<IntegrationRow> {
  const integration = await requireIntegration(ctx, provider);
  await replaceEndpoint(ctx.sync, integration.project_id, provider);
  return integration;
}
