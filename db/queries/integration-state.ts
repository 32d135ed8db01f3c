import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { IntegrationRow } from '../tables.ts';
import type { DataCenter, IterableProjectType, Provider, UserIdFallback } from '../values.ts';

/** The partner refused our key: its dynamic exports are held until it is connected again. */
export async function setIntegrationAttention(
  db: Db,
  integration: Pick<IntegrationRow, 'id' | 'api_key'>,
  attention: string,
): Promise<void> {
  await db
    .updateTable('integrations')
    .set({ status: 'NEEDS_ATTENTION', attention })
    .where('id', '=', integration.id)
    .where('api_key', '=', integration.api_key)
    .where('status', '!=', 'DISCONNECTED')
    .execute();
}

/** The key is forgotten. Gives the row as it is then. */
export async function clearIntegration(db: Db, integrationId: string): Promise<IntegrationRow> {
  return db
    .updateTable('integrations')
    .set({
      status: 'DISCONNECTED',
      attention: null,
      api_key: null,
      api_key_hint: null,
      data_center: null,
      project_type: null,
      user_id_fallback: null,
      guard_max_share: null,
      guard_min_removals: null,
      connected_at: null,
      connected_by: null,
    })
    .where('id', '=', integrationId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export interface ConnectedIntegration {
  projectId: string;
  provider: Provider;
  dataCenter: DataCenter;
  projectType: IterableProjectType;
  userIdFallback: UserIdFallback;
  guard: { maxShare: number; minRemovals: number };
  /** Encrypted. */
  apiKey: string;
  apiKeyHint: string;
  connectedAt: Date;
  connectedBy: string;
  /** Iterable's id of the project; null when Iterable did not tell it. */
  partnerProjectId: string | null;
}

/** The project's integration with this provider, connected anew. */
export async function upsertIntegration(db: Db, connected: ConnectedIntegration): Promise<IntegrationRow> {
  const values = {
    status: 'CONNECTED' as const,
    attention: null,
    data_center: connected.dataCenter,
    project_type: connected.projectType,
    user_id_fallback: connected.userIdFallback,
    guard_max_share: connected.guard.maxShare,
    guard_min_removals: connected.guard.minRemovals,
    api_key: connected.apiKey,
    api_key_hint: connected.apiKeyHint,
    connected_at: connected.connectedAt,
    connected_by: connected.connectedBy,
    partner_project_id: connected.partnerProjectId,
  };
  return db
    .insertInto('integrations')
    .values({ project_id: connected.projectId, provider: connected.provider, ...values })
    .onConflict((conflict) => conflict.columns(['project_id', 'provider']).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** Whether it is connected, and nobody disconnects it before the transaction ends. */
export async function holdConnected(db: Db, integrationId: string): Promise<boolean> {
  const row = await db
    .selectFrom('integrations')
    .select('status')
    .where('id', '=', integrationId)
    .forShare()
    .executeTakeFirstOrThrow();
  return row.status !== 'DISCONNECTED';
}

/** Which project at the provider the integration was last connected to, and as what; nobody connects it before the transaction ends. */
export async function lockPartnerProject(
  db: Db,
  projectId: string,
  provider: Provider,
): Promise<Pick<IntegrationRow, 'partner_project_id' | 'project_type'> | undefined> {
  return await db
    .selectFrom('integrations')
    .select(['partner_project_id', 'project_type'])
    .where('project_id', '=', projectId)
    .where('provider', '=', provider)
    .forUpdate()
    .executeTakeFirst();
}

/**
 * The key may belong to another project at the provider than before, or the project be of another type than was said: the next run of each export looks whether its list
 * is there and who is on it, and tries again whom the provider had refused.
 */
export async function distrustLists(db: Db, integrationId: string, now: Date): Promise<void> {
  await db
    .updateTable('exports')
    .set({ drift_checked_at: null })
    .where('integration_id', '=', integrationId)
    .where('list_id', 'is not', null)
    .execute();
  await db
    .updateTable('rejections')
    .set({ retry_at: now })
    .where('export_id', 'in', (eb) =>
      eb.selectFrom('exports').select('exports.id').where('integration_id', '=', integrationId),
    )
    .where('until_run_id', 'is', null)
    .where(sql<boolean>`reason like 'ITERABLE%'`)
    .execute();
}
