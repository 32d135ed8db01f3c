import { type Kysely, sql } from 'kysely';

/** A run says who asked for its end. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // The name of the token; null while nobody has asked, and for runs from before.
  await sql`alter table sync_runs add column cancel_requested_by text`.execute(db);
}
