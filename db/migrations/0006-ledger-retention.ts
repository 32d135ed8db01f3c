import { type Kysely, sql } from 'kysely';

/** Ledgers end after a while; the totals of their runs stay. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table sync_runs add column ledger_deleted_at timestamptz
    check (ledger_deleted_at is null or finished_at is not null)`.execute(db);
  await sql`create index sync_runs_with_ledger on sync_runs (finished_at)
    where ledger_deleted_at is null and finished_at is not null`.execute(db);
  await sql`create index rejections_closed on rejections (until_run_id) where until_run_id is not null`.execute(
    db,
  );
}
