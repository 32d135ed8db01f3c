import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SyncBatchRow } from '../tables.ts';
import type { BatchKind } from '../values.ts';

/** Why somebody is in a batch, when it is not the usual reason: values of sync_batches.notes. */
export const NOTES = {
  /** On the list already: only their profile is written. */
  resent: 1,
  /** Gone from the list, or put on it, without a run of ours. */
  drift: 2,
  /** While a plan is made: a removal that does not wait for approval, an addition that does. Added to the others. */
  sorted: 4,
} as const;

export type NewBatch = Pick<
  SyncBatchRow,
  'number' | 'kind' | 'size' | 'keys' | 'fingerprints' | 'notes' | 'places'
> & { state?: 'PLANNED' | 'HELD'; people: Buffer };

/** One statement each: some 100 kB, which a larger one would only copy around. */
export async function insertBatch(db: Db, run: { exportId: number; runId: string }, batch: NewBatch) {
  await db
    .insertInto('sync_batches')
    .values({ export_id: run.exportId, run_id: run.runId, ...batch })
    .execute();
}

export type OpenBatch = Pick<SyncBatchRow, 'id' | 'size'>;

/** What is left to send, in order: first those that a worker before us had sent without learning the answer. */
export async function listOpenBatches(db: Db, runId: string, kind: BatchKind): Promise<OpenBatch[]> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'size'])
    .where('run_id', '=', runId)
    .where('kind', '=', kind)
    .where('state', 'in', ['PLANNED', 'SENT'])
    .orderBy(sql`state = 'SENT'`, 'desc')
    .orderBy('number')
    .execute();
}

export type SentBatch = Pick<SyncBatchRow, 'id' | 'size' | 'people' | 'notes' | 'places'>;

/**
 * Notes that a batch is about to leave, and gives its people. Undefined when the run is no longer this attempt's to
 * go on with (another worker has it, or it was cancelled): then it must not be sent.
 */
export async function markBatchSent(
  db: Db,
  run: { runId: string; attempt: number },
  id: string,
): Promise<SentBatch | undefined> {
  return db
    .updateTable('sync_batches')
    .set({ state: 'SENT' })
    .where('id', '=', id)
    .where('state', 'in', ['PLANNED', 'SENT'])
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
    .returning(['id', 'size', 'people', 'notes', 'places'])
    .executeTakeFirst();
}

export interface BatchCounts {
  added: number;
  unchanged: number;
  removed: number;
  rejected: number;
}

/** What became of a batch. live: who of it is on the list now; refused: whom Iterable did not take (or take off). */
export interface BatchAnswerBits {
  live: Buffer | null;
  liveCount: number;
  refused: Buffer | null;
}

/**
 * False when it was settled before (by a worker that had been given up for dead): then nothing is to be written. Its
 * transaction's commit does not wait for the disk: a batch whose settling is lost with the last moments before a crash of
 * the database is SENT again, and is sent once more. Whatever is committed later, the end of the run at the latest, makes
 * it durable.
 */
export async function markBatchSettled(
  db: Db,
  id: string,
  settled: { counts: BatchCounts; bits: BatchAnswerBits; at: Date },
): Promise<boolean> {
  const { live, liveCount, refused } = settled.bits;
  const { numUpdatedRows } = await db
    .updateTable('sync_batches')
    .set({
      state: 'SETTLED',
      settled_at: settled.at,
      live,
      live_count: liveCount,
      refused,
      ...settled.counts,
    })
    .where('id', '=', id)
    .where('state', '=', 'SENT')
    .where(sql<boolean>`set_config('synchronous_commit', 'off', true) is not null`)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * What the settled batches of a run add up to, and how many of its people are still to be sent, and how many wait for
 * a decision. Members are those of the plan that begins with batch plannedFrom; removed are all.
 */
export async function sumBatches(
  db: Db,
  runId: string,
  plannedFrom: number,
): Promise<BatchCounts & { open: number; held: number }> {
  const ofPlan = (column: 'added' | 'unchanged' | 'rejected') =>
    sql<number>`coalesce(sum(${sql.ref(column)}) filter (where number >= ${plannedFrom}), 0)::int`.as(column);
  return db
    .selectFrom('sync_batches')
    .select([
      ofPlan('added'),
      ofPlan('unchanged'),
      ofPlan('rejected'),
      sql<number>`coalesce(sum(removed), 0)::int`.as('removed'),
      sql<number>`coalesce(sum(size) filter (where state in ('PLANNED', 'SENT')), 0)::int`.as('open'),
      sql<number>`coalesce(sum(size) filter (where state = 'HELD'), 0)::int`.as('held'),
    ])
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow();
}

/** Batches by which a run has added people. */
export async function listAddedBatches(db: Db, runId: string): Promise<Pick<SyncBatchRow, 'id' | 'notes'>[]> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'notes'])
    .where('run_id', '=', runId)
    .where('kind', '=', 'ADD')
    .where('state', '=', 'SETTLED')
    .execute();
}

export async function countBatches(db: Db, runId: string): Promise<number> {
  const { count } = await db
    .selectFrom('sync_batches')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow();
  return count;
}

/** For the next batch of a run. */
export async function nextBatchNumber(db: Db, runId: string): Promise<number> {
  const { next } = await db
    .selectFrom('sync_batches')
    .select(sql<number>`coalesce(max(number) + 1, 0)`.as('next'))
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow();
  return next;
}

export type UnansweredBatch = Pick<SyncBatchRow, 'id' | 'kind' | 'size' | 'notes' | 'places'>;

/** Sent, and no answer known. */
export async function listUnansweredBatches(db: Db, runId: string): Promise<UnansweredBatch[]> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'kind', 'size', 'notes', 'places'])
    .where('run_id', '=', runId)
    .where('state', '=', 'SENT')
    .orderBy('number')
    .execute();
}

/** The answer never came. live: who may be on the list now; they are marked as uncertain by marks. */
export async function markBatchUnanswered(
  db: Db,
  id: string,
  doubt: { live: Buffer | null; liveCount: number; marks: Buffer | null; at: Date },
): Promise<void> {
  await db
    .updateTable('sync_batches')
    .set({
      state: 'UNANSWERED',
      settled_at: doubt.at,
      live: doubt.live,
      live_count: doubt.liveCount,
      marks: doubt.marks,
    })
    .where('id', '=', id)
    .where('state', '=', 'SENT')
    .execute();
}

/** What a run had planned and not sent. */
export async function deletePlannedBatches(
  db: Db,
  runId: string,
  states: ('PLANNED' | 'HELD')[] = ['PLANNED', 'HELD'],
): Promise<void> {
  await db.deleteFrom('sync_batches').where('run_id', '=', runId).where('state', 'in', states).execute();
}

/** The key of each person of a batch, 16 bytes each. */
export async function loadBatchKeys(db: Db, id: string): Promise<Buffer> {
  const { keys } = await db
    .selectFrom('sync_batches')
    .select('keys')
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
  return keys;
}
