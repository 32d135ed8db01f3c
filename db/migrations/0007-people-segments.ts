import { type Kysely, sql } from 'kysely';

/** One person is to be found over all lists and ledgers. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // Whether the people of the row are in people_segments. Rows that are there already follow in the background.
  `alter table sync_batches add column is_indexed boolean not null default false`,
  `create index sync_batches_unindexed on sync_batches (id)
    where not is_indexed and state in ('SETTLED', 'UNANSWERED')`,

  // An index of the people of some rows of sync_batches, written once. Rows that are deleted stay named until their
  // segment is gathered with others.
  // blocks: ids of the rows. entries: 6 bytes each, ascending: a 32-bit hash of a distinct_id, e-mail or userId, and
  // the place in blocks, from 0, of the row that holds it. starts: 4 bytes each, before which entry each 4,096th of the
  // range of the hash begins, and how many entries there are. Both are read a few bytes at a time, so not compressed.
  `create table people_segments (
    id bigint generated always as identity primary key,
    blocks bigint[] not null,
    starts bytea not null check (octet_length(starts) = 4 * 4097),
    entries bytea not null check (octet_length(entries) % 6 = 0)
  )`,
  `alter table people_segments alter column starts set storage external`,
  `alter table people_segments alter column entries set storage external`,

  // Not btree, which takes no long values.
  `create index rejections_by_distinct_id on rejections using hash (distinct_id)`,
  `create index rejections_by_email on rejections using hash (email) where email is not null`,
  `create index rejections_by_user_id on rejections using hash (user_id) where user_id is not null`,
];
