import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SyncBatchRow } from '../tables.ts';
import type { BatchKind } from '../values.ts';
import { MARKS } from './list-block.ts';
import { NOTES } from './sync-batch.ts';

/** The people of batches, a row each; index is the place in the batch. */
const PEOPLE = sql`sync_batches batch
  cross join lateral json_array_elements(batch.people::json) with ordinality as listed (person, place)
  cross join lateral (select listed.place::int - 1 as index, listed.person ->> 0 as distinct_id,
    listed.person ->> 1 as email, listed.person ->> 2 as user_id,
    coalesce(get_byte(batch.notes, listed.place::int - 1), 0) as note) as known`;

/** distinct_ids of the people whom the run's plan puts on the list. */
const joiners = (runId: string) => sql`
  select distinct distinct_id from ${PEOPLE}
  where batch.run_id = ${runId} and batch.kind = 'ADD' and batch.state = 'PLANNED'
    and note & ${NOTES.resent} = 0 and distinct_id is not null`;

/**
 * Notes (NOTES.sorted) which planned removals do not wait for a decision: of people whose identity changed, who join under
 * the new one, and of those whom an earlier plan of the run holds, because their removal was approved. Gives how many.
 */
export async function noteFreeRemovals(db: Db, runId: string): Promise<number> {
  return await note(
    db,
    sql`
    with joiner as materialized (${joiners(runId)}), approved as materialized (
      select substring(batch.keys from 16 * place + 1 for 16) as key
      from sync_batches batch cross join lateral generate_series(0, batch.size - 1) as place
      where batch.run_id = ${runId} and batch.kind = 'REMOVE' and batch.state = 'HELD'
    )
    select batch.id, known.index, known.note, joiner.distinct_id is not null or approved.key is not null as is_sorted
    from ${PEOPLE}
    left join joiner on joiner.distinct_id = known.distinct_id
    left join approved on approved.key = substring(batch.keys from 16 * known.index + 1 for 16)
    where batch.run_id = ${runId} and batch.kind = 'REMOVE' and batch.state = 'PLANNED'`,
  );
}

/**
 * Notes (NOTES.sorted) which planned additions wait for the decision too: they share a distinct_id, e-mail or userId with
 * somebody whose removal is held. Gives how many.
 */
export async function noteWaitingAdditions(db: Db, runId: string): Promise<number> {
  return await note(
    db,
    sql`
    with held as materialized (
      select distinct_id, email, user_id from ${PEOPLE}
      where batch.run_id = ${runId} and batch.kind = 'REMOVE' and batch.state = 'HELD'
    )
    select batch.id, known.index, known.note, (
      known.distinct_id in (select distinct_id from held where distinct_id is not null)
      or known.email in (select email from held where email is not null)
      or known.user_id in (select user_id from held where user_id is not null)
    ) is true as is_sorted
    from ${PEOPLE}
    where batch.run_id = ${runId} and batch.kind = 'ADD' and batch.state = 'PLANNED'`,
  );
}

/** people: a select of id, index, note and is_sorted. */
async function note(db: Db, people: ReturnType<typeof sql>): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    with noted as (
      select id, count(*) filter (where is_sorted) as count,
        string_agg(set_byte('\\x00', 0, note | case when is_sorted then ${NOTES.sorted}::int else 0 end), ''
          order by index) as notes
      from (${people}) as person group by id having bool_or(is_sorted)
    ), updated as (
      update sync_batches set notes = noted.notes from noted where noted.id = sync_batches.id
    )
    select coalesce(sum(count), 0)::int as count from noted`.execute(db);
  return rows[0]!.count;
}

export type PlannedBatch = Pick<
  SyncBatchRow,
  'id' | 'number' | 'size' | 'people' | 'keys' | 'fingerprints' | 'notes' | 'places'
>;

/** A planned batch of the run, the next by number in a range (without its end); undefined when there is none. */
export async function nextPlannedBatch(
  db: Db,
  runId: string,
  kind: BatchKind,
  range: { from: number; to: number },
): Promise<PlannedBatch | undefined> {
  return db
    .selectFrom('sync_batches')
    .select(['id', 'number', 'size', 'people', 'keys', 'fingerprints', 'notes', 'places'])
    .where('run_id', '=', runId)
    .where('kind', '=', kind)
    .where('state', '=', 'PLANNED')
    .where('number', '>=', range.from)
    .where('number', '<', range.to)
    .orderBy('number')
    .limit(1)
    .executeTakeFirst();
}

export async function deleteBatch(db: Db, id: string): Promise<void> {
  await db.deleteFrom('sync_batches').where('id', '=', id).execute();
}

export async function holdBatch(db: Db, id: string): Promise<void> {
  await db.updateTable('sync_batches').set({ state: 'HELD' }).where('id', '=', id).execute();
}

/** People whose removal waits for a decision. */
export async function countHeldRemovals(db: Db, runId: string): Promise<number> {
  const { people } = await db
    .selectFrom('sync_batches')
    .select(sql<number>`coalesce(sum(size), 0)::int`.as('people'))
    .where('run_id', '=', runId)
    .where('kind', '=', 'REMOVE')
    .where('state', '=', 'HELD')
    .executeTakeFirstOrThrow();
  return people;
}

/** Takes one held removal batch of the run out of the journal. Undefined when there is none. */
export async function takeHeldRemoval(
  db: Db,
  runId: string,
): Promise<Pick<SyncBatchRow, 'size' | 'places'> | undefined> {
  return db
    .deleteFrom('sync_batches')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('sync_batches')
        .select('id')
        .where('run_id', '=', runId)
        .where('kind', '=', 'REMOVE')
        .where('state', '=', 'HELD')
        .limit(1),
    )
    .returning(['size', 'places'])
    .executeTakeFirst();
}

/** Additions that had waited may be sent. */
export async function releaseHeldAdditions(db: Db, runId: string): Promise<void> {
  await db
    .updateTable('sync_batches')
    .set({ state: 'PLANNED' })
    .where('run_id', '=', runId)
    .where('kind', '=', 'ADD')
    .where('state', '=', 'HELD')
    .execute();
}

/** People who are on the export's list and do not qualify. */
export interface Staying {
  /** Their removal was discarded. */
  kept: number;
  /** Iterable has refused to remove them. */
  refused: number;
}

export async function countStaying(db: Db, exportId: number): Promise<Staying> {
  const count = (mark: number) => sql`count(*) filter (where marks & ${mark}::integer <> 0)::int`;
  const { rows } = await sql<Staying>`
    select ${count(MARKS.kept)} as kept, ${count(MARKS.refused)} as refused
    from ${markedPlaces(exportId)} as marked`.execute(db);
  return rows[0]!;
}

export interface KeptPerson {
  blockId: string;
  index: number;
  key: Buffer;
  distinctId: string;
  email: string | null;
  userId: string | null;
}

/** People who are kept on the list and whom the run's plan puts there under another identity too. */
export async function listKeptJoiners(db: Db, exportId: number, runId: string): Promise<KeptPerson[]> {
  const { rows } = await sql<KeptPerson>`
    with joiner as materialized (${joiners(runId)})
    select batch.id as "blockId", known.index, substring(batch.keys from 16 * known.index + 1 for 16) as key,
      known.distinct_id as "distinctId", known.email, known.user_id as "userId"
    from ${markedPlaces(exportId)} as kept
    join (${PEOPLE}) on batch.id = kept.id and known.index = kept.index
    join joiner on joiner.distinct_id = known.distinct_id
    where kept.marks & ${MARKS.kept} <> 0
    order by batch.id, known.index`.execute(db);
  return rows;
}

/** Places of people on the list of whom there is more to say than usual. */
function markedPlaces(exportId: number) {
  return sql`(
    select batch.id, index, get_byte(batch.marks, index) as marks from sync_batches batch cross join lateral generate_series(0, batch.size - 1) as index
    where batch.export_id = ${exportId} and batch.live_count > 0 and batch.marks is not null
      and get_bit(batch.live, index) = 1
  )`;
}
