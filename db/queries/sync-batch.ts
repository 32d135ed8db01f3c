import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { BatchKind, SyncBatchRow } from '../tables.ts';

export interface NewBatch {
  number: number;
  kind: BatchKind;
  size: number;
  members: string;
}

export async function insertBatches(db: Db, runId: string, batches: NewBatch[]): Promise<void> {
  if (batches.length === 0) return;
  await db
    .insertInto('sync_batches')
    .values(batches.map((batch) => ({ run_id: runId, ...batch })))
    .execute();
}

export type OpenBatch = Pick<SyncBatchRow, 'number' | 'kind' | 'state' | 'size'>;

/** What is left to send, in order: first those that a worker before us had sent without learning the answer. */
export async function listOpenBatches(db: Db, runId: string, kind: BatchKind): Promise<OpenBatch[]> {
  return db
    .selectFrom('sync_batches')
    .select(['number', 'kind', 'state', 'size'])
    .where('run_id', '=', runId)
    .where('kind', '=', kind)
    .where('state', '!=', 'SETTLED')
    .orderBy(sql`state = 'SENT'`, 'desc')
    .orderBy('number')
    .execute();
}

/**
 * Notes that a batch is about to leave, and gives its people. Undefined when the run is no longer this attempt's to
 * go on with (another worker has it, or it was cancelled): then it must not be sent.
 */
export async function markBatchSent(
  db: Db,
  run: { runId: string; attempt: number },
  number: number,
): Promise<string | undefined> {
  const row = await db
    .updateTable('sync_batches')
    .set({ state: 'SENT' })
    .where('run_id', '=', run.runId)
    .where('number', '=', number)
    .where('state', '!=', 'SETTLED')
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('sync_runs')
          .select('id')
          .where('id', '=', run.runId)
          .where('attempt', '=', run.attempt)
          .where('status', '=', 'RUNNING')
          .where('cancel_requested_at', 'is', null),
      ),
    )
    .returning('members')
    .executeTakeFirst();
  return row?.members;
}

export interface BatchCounts {
  added: number;
  unchanged: number;
  removed: number;
  rejected: number;
}

/** False when it was settled before (by a worker that had been given up for dead): then nothing is to be written. */
export async function markBatchSettled(
  db: Db,
  runId: string,
  number: number,
  counts: BatchCounts,
): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sync_batches')
    .set({ state: 'SETTLED', members: '', ...counts })
    .where('run_id', '=', runId)
    .where('number', '=', number)
    .where('state', '!=', 'SETTLED')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * This transaction's commit does not wait for the disk. Only for what may be lost with the last moments before a crash of
 * the database: a batch whose settling is lost is SENT again, and is sent once more. Whatever is committed later, the end
 * of the run at the latest, makes it durable.
 */
export async function commitWithoutWaiting(trx: Db): Promise<void> {
  await sql`set local synchronous_commit = off`.execute(trx);
}

/** What the settled batches of a run add up to, and how many of its people are still to be sent. */
export async function sumSettledBatches(db: Db, runId: string): Promise<BatchCounts & { open: number }> {
  return db
    .selectFrom('sync_batches')
    .select([
      sql<number>`coalesce(sum(added), 0)::int`.as('added'),
      sql<number>`coalesce(sum(unchanged), 0)::int`.as('unchanged'),
      sql<number>`coalesce(sum(removed), 0)::int`.as('removed'),
      sql<number>`coalesce(sum(rejected), 0)::int`.as('rejected'),
      sql<number>`coalesce(sum(size) filter (where state <> 'SETTLED'), 0)::int`.as('open'),
    ])
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow();
}

/** Sent, and no answer known. */
export async function listUnansweredBatches(
  db: Db,
  runId: string,
): Promise<Pick<SyncBatchRow, 'number' | 'kind' | 'members'>[]> {
  return db
    .selectFrom('sync_batches')
    .select(['number', 'kind', 'members'])
    .where('run_id', '=', runId)
    .where('state', '=', 'SENT')
    .orderBy('number')
    .execute();
}

export async function deleteBatches(db: Db, runId: string): Promise<void> {
  await db.deleteFrom('sync_batches').where('run_id', '=', runId).execute();
}
