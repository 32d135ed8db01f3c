import { type Kysely, sql } from 'kysely';

/** Which project at the provider a key belongs to, as far as the provider says so. Frozen. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table integrations add column partner_project_id text`.execute(db);
}
