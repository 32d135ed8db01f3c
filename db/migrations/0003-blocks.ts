import { type Kysely, sql } from 'kysely';

/**
 * Who is on a list, the journal of a run and its ledger become one table of blocks of people, written once: a row for each
 * person cost more than all else that a run does. Frozen: later changes are further migrations.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

/** Blocks of a thousand in the order of their keys. Fingerprint 0: the next run looks closer. */
function blocksOf(selection: string): string {
  return `select export_id, run_id, kind, count(*)::int as size,
      (row_number() over (partition by run_id order by export_id, kind, chunk) - 1)::int as number,
      string_agg(uuid_send(hash), '' order by hash) as keys,
      decode(repeat('00', 8 * count(*)::int), 'hex') as fingerprints,
      json_agg(json_build_array(distinct_id, email, user_id) order by hash)::text as people,
      max(at) as settled_at,
      string_agg(case when uncertain then '\\x01'::bytea else '\\x00'::bytea end, '' order by hash) as marks
    from (
      select stays.*, (row_number() over (partition by export_id, run_id, kind order by hash) - 1) / 1000 as chunk
      from (${selection}) as stays
    ) as chunks
    group by export_id, run_id, kind, chunk`;
}

const statements = [
  // Runs that were going plan anew. What they had sent without an answer shows in the list itself.
  `update exports set drift_checked_at = null where id in (
    select run.export_id from sync_batches batch join sync_runs run on run.id = batch.run_id where batch.state = 'SENT')`,
  `update sync_runs set planned_at = null, added = 0, removed = 0, unchanged = 0, rejected = 0, members = 0
    where finished_at is null and planned_at is not null`,
  `drop table sync_batches`,

  // One row is some people of one export, at most as many as go into one request, in one of three roles at a time or
  // in turn. kind ADD and REMOVE: the journal of a run (PLANNED, SENT), then its ledger (SETTLED; UNANSWERED when
  // the answer never came). kind LISTED: neither, people who were found on the list or whose block was written anew.
  // live: who of them is on the list now because of this row, a bit a person (the lowest bit of the first byte is the
  // first person); null for nobody. marks: a byte a person, 1 uncertain, 4 missing; null for none.
  // keys: 16 bytes a person, the first 128 bits of SHA-256 of the identity that Iterable knows the person by.
  // fingerprints: 8 bytes a person, by which a change of what else is known of them is noticed; 0 is unknown.
  // people: JSON text of rows [distinctId, email, userId]. notes: a byte a person, 1 on the list already, 2 drift.
  // places: 12 bytes a person, where they stand on the list so far: id of the row (float64) and index in it.
  // refused: a bit a person, whom Iterable did not take (or take off); null for nobody.
  // Columns of people are written once and read back whole, so they are neither parsed nor compressed.
  `create table sync_batches (
    id bigint generated always as identity primary key,
    export_id integer not null references exports (id),
    run_id bigint references sync_runs (id),
    number integer not null,
    kind text not null check (kind in ('REMOVE', 'ADD', 'LISTED')),
    state text not null default 'PLANNED' check (state in ('PLANNED', 'SENT', 'SETTLED', 'UNANSWERED')),
    size integer not null check (size > 0),
    added integer not null default 0,
    unchanged integer not null default 0,
    removed integer not null default 0,
    rejected integer not null default 0,
    live_count integer not null default 0 check (live_count between 0 and size),
    settled_at timestamptz check ((settled_at is not null) = (state in ('SETTLED', 'UNANSWERED'))),
    live bytea check ((live is not null) = (live_count > 0)),
    marks bytea check (length(marks) = size),
    refused bytea,
    notes bytea check (length(notes) = size),
    places bytea check (length(places) = 12 * size),
    keys bytea not null check (length(keys) = 16 * size),
    fingerprints bytea not null check (length(fingerprints) = 8 * size),
    people text not null,
    check ((run_id is null) = (kind = 'LISTED')),
    check (kind <> 'REMOVE' or live is null)
  )`,
  ...['keys', 'fingerprints', 'people', 'places'].map(
    (column) => `alter table sync_batches alter column ${column} set storage external`,
  ),
  `create unique index sync_batches_by_run on sync_batches (run_id, number) where run_id is not null`,
  `create index sync_batches_live on sync_batches (export_id, id) where live_count > 0`,
  `create index sync_batches_spent on sync_batches (export_id)
    where live_count = 0 and (kind = 'LISTED' or state = 'UNANSWERED')`,
  `create index sync_batches_removals on sync_batches (export_id, settled_at) where kind = 'REMOVE'`,

  `insert into sync_batches (export_id, run_id, number, kind, state, size, keys, fingerprints, people, settled_at,
      live, live_count, marks)
    select export_id, null, number, kind, 'SETTLED', size, keys, fingerprints, people, settled_at,
      decode(repeat('ff', (size + 7) / 8), 'hex'), size, case when position('\\x01'::bytea in marks) > 0 then marks end
    from (${blocksOf(`select export_id, null::bigint as run_id, 'LISTED' as kind, hash, distinct_id, email, user_id,
      added_at as at, uncertain from list_members where removed_at is null`)}) as blocks`,
  `insert into sync_batches (export_id, run_id, number, kind, state, size, keys, fingerprints, people, settled_at,
      added, removed)
    select export_id, run_id, number, kind, 'SETTLED', size, keys, fingerprints, people, settled_at,
      case when kind = 'ADD' then size else 0 end, case when kind = 'REMOVE' then size else 0 end
    from (${blocksOf(`select stay.export_id, run.id as run_id, 'ADD' as kind, hash, distinct_id, email, user_id,
        added_at as at, false as uncertain
      from list_members stay join sync_runs run on run.id = stay.added_run_id
      where not uncertain and run.finished_at is not null
      union all
      select stay.export_id, run.id, 'REMOVE', hash, distinct_id, email, user_id, removed_at, false
      from list_members stay join sync_runs run on run.id = stay.removed_run_id
      where run.finished_at is not null`)}) as blocks`,
  `drop table list_members`,
];
