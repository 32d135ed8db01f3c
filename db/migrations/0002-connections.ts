import { type Kysely, sql } from 'kysely';

/** What connecting and disconnecting leave for later runs to know. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Which project at the provider the key belongs to, as far as the provider says so.
  await sql`alter table integrations add column partner_project_id text`.execute(db);
  // A run that ends because of a disconnect has failed; one that somebody cancelled has not.
  await sql`alter table sync_runs add column cancel_cause text
    check (cancel_cause is null or (cancel_cause in ('REQUEST', 'DISCONNECT') and cancel_requested_at is not null))`.execute(
    db,
  );
}
