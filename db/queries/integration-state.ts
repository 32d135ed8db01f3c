import type { Db } from '../connect.ts';
import type { IntegrationRow } from '../tables.ts';

export async function findIntegration(db: Db, integrationId: string): Promise<IntegrationRow> {
  return db.selectFrom('integrations').selectAll().where('id', '=', integrationId).executeTakeFirstOrThrow();
}

/** The partner refused our key: its dynamic exports are held until it is connected again. */
export async function setIntegrationAttention(db: Db, integrationId: string, attention: string): Promise<void> {
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
