import { sql } from 'kysely';
import { makeBits } from '../bits.ts';
import type { Db } from '../connect.ts';
import type { SyncBatchRow } from '../tables.ts';

/** What is known of somebody's place on the list besides that they have it: bits of sync_batches.marks. */
export const MARKS = {
  /** Iterable's answer never came: they may or may not be there. */
  uncertain: 1,
  /** They do not qualify, and stay because their removal was discarded. */
  kept: 2,
  /** They were there by all that we know, and the real list does not show them. */
  missing: 4,
  /** They do not qualify, and Iterable has refused to remove them: they stay until the real list no longer shows them. */
  refused: 8,
} as const;

/** Some of the people on a list, as a comparison needs them. live says which of them. */
export type ListBlock = Pick<SyncBatchRow, 'id' | 'size' | 'live' | 'marks' | 'keys' | 'fingerprints'>;

interface BlockPage {
  after: string;
  limit: number;
}

/** Blocks with people of the export's list, after an id, in the order of their ids. */
export function loadListBlocks(db: Db, exportId: number, page: BlockPage): Promise<ListBlock[]> {
  return listBlocks(db, exportId)
    .select(['id', 'size', 'live', 'marks', 'keys', 'fingerprints'])
    .where('id', '>', page.after)
    .limit(page.limit)
    .execute();
}

export type ListBlockPeople = Pick<
  SyncBatchRow,
  'id' | 'size' | 'live' | 'marks' | 'keys' | 'people' | 'settled_at'
>;

/** The same with what is known of the people. */
export function loadListBlockPeople(db: Db, exportId: number, page: BlockPage): Promise<ListBlockPeople[]> {
  return listBlocks(db, exportId)
    .select(['id', 'size', 'live', 'marks', 'keys', 'people', 'settled_at'])
    .where('id', '>', page.after)
    .limit(page.limit)
    .execute();
}

function listBlocks(db: Db, exportId: number) {
  return db
    .selectFrom('sync_batches')
    .where('export_id', '=', exportId)
    .where('live_count', '>', 0)
    .orderBy('id');
}

/** People of these rows: JSON text of rows [distinctId, email, userId]. */
export async function loadPeople(db: Db, ids: string[]): Promise<{ id: string; people: string }[]> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'people'])
    .where('id', '=', sql<string>`any(${ids}::bigint[])`)
    .execute();
}

export async function countListed(db: Db, exportId: number): Promise<number> {
  const { people } = await db
    .selectFrom('sync_batches')
    .select(sql<number>`coalesce(sum(live_count), 0)::int`.as('people'))
    .where('export_id', '=', exportId)
    .where('live_count', '>', 0)
    .executeTakeFirstOrThrow();
  return people;
}

export type NewListBlock = Pick<SyncBatchRow, 'size' | 'keys' | 'fingerprints'> & { people: Buffer };

/** People who are on the list, all of them, and whom no run is to be credited with. */
export async function insertListBlock(
  db: Db,
  exportId: number,
  block: NewListBlock,
  settledAt: Date,
): Promise<void> {
  const { size, keys, fingerprints, people } = block;
  await db
    .insertInto('sync_batches')
    .values({
      export_id: exportId,
      run_id: null,
      number: 0,
      kind: 'LISTED',
      state: 'SETTLED',
      settled_at: settledAt,
      live: makeBits(size, () => true),
      live_count: size,
      size,
      keys,
      fingerprints,
      people,
    })
    .execute();
}

export type BlockState = Pick<SyncBatchRow, 'id' | 'size' | 'live' | 'live_count' | 'marks'>;

/** Who is on the list by these rows, which stay as they are until the transaction ends. Locked in the order of their ids. */
export async function lockBlockStates(db: Db, ids: string[]): Promise<BlockState[]> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'size', 'live', 'live_count', 'marks'])
    .where('id', '=', sql<string>`any(${ids}::bigint[])`)
    .orderBy('id')
    .forUpdate()
    .execute();
}

export async function updateBlockStates(db: Db, states: BlockState[]): Promise<void> {
  if (states.length === 0) return;
  await sql`
    update sync_batches set live = changed.live, live_count = changed.live_count, marks = changed.marks
    from unnest(
      ${states.map((state) => state.id)}::bigint[],
      ${states.map((state) => state.live)}::bytea[],
      ${states.map((state) => state.live_count)}::int[],
      ${states.map((state) => state.marks)}::bytea[]
    ) as changed (id, live, live_count, marks)
    where sync_batches.id = changed.id
  `.execute(db);
}

export type SparseBlock = Pick<
  SyncBatchRow,
  'id' | 'size' | 'live' | 'keys' | 'fingerprints' | 'people' | 'settled_at'
>;

/** Blocks by which at most so many people are on the list, without marks; they stay as they are until the transaction ends. */
export function lockSparseBlocks(
  db: Db,
  exportId: number,
  bounds: { maxPeople: number; limit: number },
): Promise<SparseBlock[]> {
  return listBlocks(db, exportId)
    .select(['id', 'size', 'live', 'keys', 'fingerprints', 'people', 'settled_at'])
    .where('live_count', '<=', bounds.maxPeople)
    .where('marks', 'is', null)
    .limit(bounds.limit)
    .forUpdate()
    .execute();
}

/** The list is gone: nobody is on it any more, and no run removed them. */
export async function clearList(db: Db, exportId: number): Promise<void> {
  await db
    .updateTable('sync_batches')
    .set({ live: null, live_count: 0, marks: null })
    .where('export_id', '=', exportId)
    .where('live_count', '>', 0)
    .execute();
}

/** Keys of the people whose removal was answered after the moment, 16 bytes each: the real list may still show them. */
export async function loadKeysRemovedSince(db: Db, exportId: number, since: Date): Promise<Buffer[]> {
  const rows = await db
    .selectFrom('sync_batches')
    .select('keys')
    .where('export_id', '=', exportId)
    .where('kind', '=', 'REMOVE')
    .where('settled_at', '>', since)
    .execute();
  return rows.map((row) => row.keys);
}

/** Rows that nobody is on the list by and no ledger speaks of: removals whose answer never came. */
export async function deleteSpentBlocks(db: Db, exportId: number): Promise<void> {
  await db
    .deleteFrom('sync_batches')
    .where('export_id', '=', exportId)
    .where('live_count', '=', 0)
    .where((eb) => eb.or([eb('kind', '=', 'LISTED'), eb('state', '=', 'UNANSWERED')]))
    .execute();
}
