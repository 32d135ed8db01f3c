import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { PeopleSegmentRow } from '../tables.ts';

/** True when this transaction is the one that writes segments; it is until it ends. */
export async function lockIndexing(trx: Db): Promise<boolean> {
  const { rows } = await sql<{ isMine: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended('people-segments', 0)) as "isMine"`.execute(trx);
  return rows[0]!.isMine;
}

/** Blocks of whose people something is to be told, and that no segment knows yet, but for fresh ones: the oldest first. */
export function listUnindexedBlocks(
  db: Db,
  fresh: { since: Date; until: Date },
  limit: number,
): Promise<{ id: string; size: number }[]> {
  return unindexedBlocks(db)
    .select(['id', 'size'])
    .where((eb) => eb.or([eb('settled_at', '<=', fresh.since), eb('settled_at', '>', fresh.until)]))
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Those of them in whose text of people this occurs. */
export async function findUnindexedBlocks(db: Db, text: string): Promise<string[]> {
  const rows = await unindexedBlocks(db)
    .select('id')
    .where(sql<boolean>`strpos(people, ${text}) > 0`)
    .execute();
  return rows.map((row) => row.id);
}

/** Those of them that are the project's; at most so many. */
export async function listUnindexedBlocksOf(db: Db, projectId: string, limit?: number): Promise<string[]> {
  const rows = await unindexedBlocks(db)
    .innerJoin('exports', 'exports.id', 'sync_batches.export_id')
    .select('sync_batches.id')
    .where('exports.project_id', '=', projectId)
    .$if(limit !== undefined, (query) => query.limit(limit!))
    .execute();
  return rows.map((row) => row.id);
}

function unindexedBlocks(db: Db) {
  // As the partial index has it.
  return db
    .selectFrom('sync_batches')
    .where(sql<boolean>`not is_indexed and state in ('SETTLED', 'UNANSWERED')`);
}

export type NewSegment = Pick<PeopleSegmentRow, 'blocks' | 'starts' | 'entries'>;

export async function insertSegment(db: Db, segment: NewSegment): Promise<void> {
  await db.insertInto('people_segments').values(segment).execute();
}

/** Locks the rows in the order of their ids, as runs do, so that neither waits for the other for ever. */
export async function setIndexed(db: Db, blockIds: string[]): Promise<void> {
  await sql`
    update sync_batches set is_indexed = true
    from (
      select id from sync_batches where id = any(${blockIds}::bigint[]) order by id for update
    ) as locked
    where sync_batches.id = locked.id`.execute(db);
}

/** What a segment must have less of, of each, to be worth gathering. */
export interface SegmentBounds {
  bytes: number;
  blocks: number;
}

export async function countSmallSegments(db: Db, bounds: SegmentBounds): Promise<number> {
  const { count } = await db
    .selectFrom('people_segments')
    .select(sql<number>`count(*)::int`.as('count'))
    .where(sql<boolean>`octet_length(entries) < ${bounds.bytes} and cardinality(blocks) < ${bounds.blocks}`)
    .executeTakeFirstOrThrow();
  return count;
}

/** Segments that are small, or would be without the blocks that have been deleted; the oldest first. */
export async function listSparseSegments(
  db: Db,
  bounds: SegmentBounds,
): Promise<{ id: string; bytes: number; blocks: number }[]> {
  const { rows } = await sql<{ id: string; bytes: number; blocks: number }>`
    select id, (bytes * living / cardinality)::float8 as bytes, living::int as blocks
    from (
      select id, octet_length(entries)::bigint as bytes, cardinality(blocks) as cardinality,
        (select count(*) from sync_batches where sync_batches.id = any(blocks)) as living
      from people_segments
    ) as segments
    where bytes * living / cardinality < ${bounds.bytes} and living < ${bounds.blocks}
    order by id`.execute(db);
  return rows;
}

/** Takes segments away. isLiving says which of their blocks there are still. */
export async function takeSegments(
  db: Db,
  ids: string[],
): Promise<(Pick<PeopleSegmentRow, 'blocks' | 'entries'> & { isLiving: boolean[] })[]> {
  const { rows } = await sql<{ blocks: string[]; entries: Buffer; isLiving: boolean[] }>`
    delete from people_segments where id = any(${ids}::bigint[])
    returning blocks, entries, array(
      select sync_batches.id is not null from unnest(blocks) with ordinality as block (id, place)
      left join sync_batches on sync_batches.id = block.id order by block.place
    ) as "isLiving"`.execute(db);
  return rows;
}

/** Of each segment, the entries of these of the 4,096 parts of the range of the hash. */
export async function loadSegmentParts(db: Db, parts: number[]): Promise<{ id: string; entries: Buffer }[]> {
  const { rows } = await sql<{ id: string; entries: Buffer }>`
    select id, substr(entries, 1 + 6 * first, 6 * (next - first)) as entries
    from (
      select id, entries, ${startAt(sql`part`)} as first, ${startAt(sql`part + 1`)} as next
      from people_segments, unnest(${parts}::int[]) as part
    ) as segments
    where next > first`.execute(db);
  return rows;
}

/** A number of starts; substr reads no more than it is asked for. */
function startAt(index: RawBuilder<unknown>) {
  return sql`('x' || encode(substr(starts, 1 + 4 * (${index}), 4), 'hex'))::bit(32)::int`;
}

/** The ids of blocks by their places in segments. */
export async function loadSegmentBlocks(
  db: Db,
  places: { segmentId: string; place: number }[],
): Promise<string[]> {
  if (places.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    select segment.blocks[found.place + 1] as id
    from unnest(
      ${places.map(({ segmentId }) => segmentId)}::bigint[],
      ${places.map(({ place }) => place)}::int[]
    ) as found (segment_id, place)
    join people_segments as segment on segment.id = found.segment_id`.execute(db);
  return rows.map((row) => row.id);
}
