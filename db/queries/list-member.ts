import { sql } from 'kysely';
import pg from 'pg';
import { toPlainArray, toTextArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';

/** A range of 128-bit keys as 32 hex digits; `to` is not in it, null is the end. */
export interface KeyRange {
  from: string;
  to: string | null;
}

export interface ListedRange {
  /** Keys of 32 hex digits, one after the other. */
  keys: string;
  /** Decimal numbers joined by commas, 0 for none; null when everybody's is 0. */
  fingerprints: string | null;
  uncertain: string[];
}

/** Who is on the list now, within a range of keys, packed: a row a person would cost more than the whole comparison. */
export async function loadListedRange(db: Db, exportId: number, range: KeyRange): Promise<ListedRange> {
  const row = await db
    .selectFrom('list_members')
    .select([
      sql<string | null>`encode(string_agg(uuid_send(hash), '' order by hash), 'hex')`.as('keys'),
      sql<string | null>`case when count(sent_fingerprint) > 0
        then string_agg(coalesce(sent_fingerprint, 0)::text, ',' order by hash) end`.as('fingerprints'),
      sql<string[] | null>`array_agg(encode(uuid_send(hash), 'hex')) filter (where uncertain)`.as(
        'uncertain',
      ),
    ])
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('hash', '>=', range.from)
    .$if(range.to !== null, (query) => query.where('hash', '<', range.to!))
    .executeTakeFirstOrThrow();
  return { keys: row.keys ?? '', fingerprints: row.fingerprints, uncertain: row.uncertain ?? [] };
}

export interface ListedMember {
  key: string;
  distinctId: string | null;
  email: string | null;
  userId: string | null;
}

/** Those of the keys who are on the list now, in the order of their keys. */
export async function loadListedMembers(db: Db, exportId: number, keys: string[]): Promise<ListedMember[]> {
  if (keys.length === 0) return [];
  return db
    .selectFrom('list_members')
    .select([
      sql<string>`encode(uuid_send(hash), 'hex')`.as('key'),
      'distinct_id as distinctId',
      'email',
      'user_id as userId',
    ])
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .orderBy('hash')
    .execute();
}

export interface Arrival {
  key: string;
  distinctId: string | null;
  email: string | null;
  userId: string | null;
  /** 0 for nothing besides the identity. */
  sentFingerprint: number;
}

export interface ArrivalRun {
  exportId: number;
  runId: string;
  at: Date;
  /** Iterable's answer never came. */
  uncertain: boolean;
}

/**
 * Puts people on the list, or notes what was written of those who are there already. Doing it again changes
 * nothing.
 */
export async function recordArrivals(db: Db, run: ArrivalRun, people: Arrival[]): Promise<void> {
  if (people.length === 0) return;
  await sql`
    ${insertArrivals(run, people)}
    on conflict (export_id, hash) where removed_at is null do update set
      distinct_id = excluded.distinct_id, email = excluded.email, user_id = excluded.user_id,
      sent_fingerprint = excluded.sent_fingerprint, uncertain = excluded.uncertain,
      added_run_id = case when current.uncertain then excluded.added_run_id else current.added_run_id end,
      added_at = case when current.uncertain then excluded.added_at else current.added_at end
    where not (excluded.uncertain and not current.uncertain)
  `.execute(db);
}

/**
 * The same for people who are not on the list; a third cheaper. False when somebody was there after all: then nothing
 * was written, and the transaction must be given up.
 */
export async function recordNewcomers(db: Db, run: ArrivalRun, people: Arrival[]): Promise<boolean> {
  if (people.length === 0) return true;
  try {
    await insertArrivals(run, people).execute(db);
    return true;
  } catch (error) {
    if (error instanceof pg.DatabaseError && error.constraint === 'list_members_current') return false;
    throw error;
  }
}

function insertArrivals(run: ArrivalRun, people: Arrival[]) {
  return sql`
    insert into list_members as current
      (export_id, added_run_id, added_at, uncertain, hash, distinct_id, email, user_id, sent_fingerprint)
    select ${run.exportId}::int, ${run.runId}::bigint, ${run.at}::timestamptz, ${run.uncertain}::boolean,
      hash, distinct_id, email, user_id, nullif(sent_fingerprint, 0)
    from unnest(
      ${toPlainArray(people.map((person) => person.key))}::uuid[],
      ${toTextArray(people.map((person) => person.distinctId))}::text[],
      ${toTextArray(people.map((person) => person.email))}::text[],
      ${toTextArray(people.map((person) => person.userId))}::text[],
      ${toPlainArray(people.map((person) => person.sentFingerprint))}::bigint[]
    ) as arrival (hash, distinct_id, email, user_id, sent_fingerprint)`;
}

/** Ends the stays of these people. Who has left already is passed over. */
export async function recordDepartures(
  db: Db,
  run: { exportId: number; runId: string; at: Date },
  keys: string[],
): Promise<void> {
  if (keys.length === 0) return;
  await db
    .updateTable('list_members')
    .set({ removed_run_id: run.runId, removed_at: run.at, uncertain: false })
    .where('export_id', '=', run.exportId)
    .where('removed_at', 'is', null)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .execute();
}

/** We asked for their removal and do not know what became of it. */
export async function markUncertain(db: Db, exportId: number, keys: string[]): Promise<void> {
  if (keys.length === 0) return;
  await db
    .updateTable('list_members')
    .set({ uncertain: true })
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .execute();
}

/** Iterable refused them: what had been left in doubt is decided, they are not on the list and never were. */
export async function deleteUncertain(db: Db, exportId: number, keys: string[]): Promise<void> {
  if (keys.length === 0) return;
  await db
    .deleteFrom('list_members')
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('uncertain', '=', true)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .execute();
}

/** The list is gone: nobody is on it any more, and no run removed them. */
export async function endAllStays(db: Db, exportId: number, at: Date): Promise<void> {
  await db
    .updateTable('list_members')
    .set({ removed_at: at, uncertain: false })
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .execute();
}

export async function hasListed(db: Db, exportId: number): Promise<boolean> {
  const row = await db
    .selectFrom('list_members')
    .select('id')
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export async function countListed(db: Db, exportId: number): Promise<number> {
  const { size } = await db
    .selectFrom('list_members')
    .select(sql<number>`count(*)::int`.as('size'))
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .executeTakeFirstOrThrow();
  return size;
}

export interface Stay {
  key: string;
  email: string | null;
  userId: string | null;
  addedAt: Date;
}

/** Everybody on the list within a range of keys, for a comparison with the real list. */
export async function loadStays(db: Db, exportId: number, range: KeyRange): Promise<Stay[]> {
  return db
    .selectFrom('list_members')
    .select([
      sql<string>`encode(uuid_send(hash), 'hex')`.as('key'),
      'email',
      'user_id as userId',
      'added_at as addedAt',
    ])
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('hash', '>=', range.from)
    .$if(range.to !== null, (query) => query.where('hash', '<', range.to!))
    .execute();
}

/** Keys of those of these people who left after the moment: the real list may still show them. */
export async function listLeftSince(
  db: Db,
  exportId: number,
  keys: string[],
  since: Date,
): Promise<Set<string>> {
  if (keys.length === 0) return new Set();
  const rows = await db
    .selectFrom('list_members')
    .select(sql<string>`encode(uuid_send(hash), 'hex')`.as('key'))
    .where('export_id', '=', exportId)
    .where('removed_at', '>', since)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .execute();
  return new Set(rows.map((row) => row.key));
}

/** These people are not on the real list: somebody else took them off, no run did. */
export async function endStays(db: Db, exportId: number, keys: string[], at: Date): Promise<void> {
  if (keys.length === 0) return;
  await db
    .updateTable('list_members')
    .set({ removed_at: at, uncertain: false })
    .where('export_id', '=', exportId)
    .where('removed_at', 'is', null)
    .where('hash', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .execute();
}
