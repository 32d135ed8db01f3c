import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** Runs that ended before the moment and still have a ledger, oldest first. Each is given to one caller at a time. */
export async function lockRunsToForget(db: Db, endedBefore: Date, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('sync_runs')
    .select('id')
    .where('finished_at', '<', endedBefore)
    .where('ledger_deleted_at', 'is', null)
    .orderBy('finished_at')
    .limit(limit)
    .forUpdate()
    .skipLocked()
    .execute();
  return rows.map((row) => row.id);
}

/**
 * Takes at most so many rows out of a run's ledger. People who are on a list by them stay there: those rows belong to no run
 * any more. Gives how many rows it was; fewer than the limit means that the ledger is empty.
 */
export async function forgetBatches(db: Db, runId: string, limit: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with old as (
      select id, live_count from sync_batches where run_id = ${runId} order by id limit ${limit} for update
    ), deleted as (
      delete from sync_batches where id in (select id from old where live_count = 0) returning 1
    ), kept as (
      update sync_batches set kind = 'LISTED', run_id = null, state = 'SETTLED', notes = null, places = null,
        refused = null, added = 0, unchanged = 0, removed = 0, rejected = 0
      where id in (select id from old where live_count > 0) returning 1
    )
    select ((select count(*) from deleted) + (select count(*) from kept))::int as count`.execute(db);
  return rows[0]!.count;
}

/** The same for rejections that held until the run; those that still hold stay. */
export async function forgetRejections(db: Db, runId: string, limit: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with deleted as (
      delete from rejections where id in (select id from rejections where until_run_id = ${runId} limit ${limit})
      returning 1
    )
    select count(*)::int as count from deleted`.execute(db);
  return rows[0]!.count;
}

export async function setLedgerDeleted(db: Db, runId: string, at: Date): Promise<void> {
  await db.updateTable('sync_runs').set({ ledger_deleted_at: at }).where('id', '=', runId).execute();
}
