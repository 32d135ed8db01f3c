import type { Db } from '../connect.ts';
import type { DataCenter, IntegrationRow, IterableProjectType, Provider, UserIdFallback } from '../tables.ts';

export async function findIntegration(db: Db, integrationId: string): Promise<IntegrationRow> {
  return db.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirstOrThrow();
}

/** The partner refused our key: its dynamic exports are held until it is connected again. */
export async function setIntegrationAttention(
  db: Db,
  integrationId: string,
  attention: string,
): Promise<void> {
  await db
    .updateTable('integrations')
    .set({ status: 'NEEDS_ATTENTION', attention })
    .where('id', '=', integrationId)
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
  };
  return db
    .insertInto('integrations')
    .values({ project_id: connected.projectId, provider: connected.provider, ...values })
    .onConflict((conflict) => conflict.columns(['project_id', 'provider']).doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}
