import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { IdMerge } from '../values.ts';
import type { PushedSessionRow } from '../webhook-tables.ts';

export interface PushedMember {
  distinct_id: string;
  email: string | null;
  user_id: string | null;
}

/** What of a session could not be used. */
export interface PushedLeftovers {
  /** Rows that name nobody. */
  nameless: number;
  /** People to be removed who are in the cohort under no name. */
  unknown: number;
}

/**
 * Makes the cohort what the session says of it. Of somebody whom a newer session has named it says nothing, and nothing at
 * all when a newer one has told all members. Within a transaction, one session of a cohort at a time.
 */
export async function applySession(db: Db, session: PushedSessionRow): Promise<PushedLeftovers> {
  const { id, cohort_id: cohortId } = session;
  const { replaced_by: replacedBy, id_merge: idMerge } = await db
    .selectFrom('cohorts')
    .leftJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'cohorts.project_id')
    .select(['replaced_by', 'id_merge'])
    .where('cohorts.id', '=', cohortId)
    .executeTakeFirstOrThrow();
  const isNewer = replacedBy === null || BigInt(id) > BigInt(replacedBy);
  const leftovers = isNewer ? await applyNewer(db, session, idMerge) : { nameless: 0, unknown: 0 };
  await db.updateTable('pushed_sessions').set({ state: 'APPLIED' }).where('id', '=', id).execute();
  await db.deleteFrom('pushed_pages').where('session_id', '=', id).execute();
  await forgetLeft(db, cohortId);
  return leftovers;
}

async function applyNewer(
  db: Db,
  { id, cohort_id: cohortId, action }: PushedSessionRow,
  idMerge: IdMerge | null,
): Promise<PushedLeftovers> {
  // Of somebody who comes twice the first row counts. A row that names nobody is null.
  await sql`
    create temporary table pushed_stage on commit drop as
    select distinct on (distinct_id) distinct_id, email, user_id
    from (
      select (member ->> 0) collate "C" as distinct_id, member ->> 1 as email, member ->> 2 as user_id, number, place
      from pushed_pages, json_array_elements(members) with ordinality as listed (member, place)
      where session_id = ${id} and json_typeof(member) <> 'null'
    ) as rows
    order by distinct_id, number, place
  `.execute(db);
  await sql`analyze pushed_stage`.execute(db);
  const nameless = await countNameless(db, id);
  const unknown = action === 'remove_members' ? await removeByOtherNames(db, cohortId, id, idMerge) : 0;
  const isMember = action !== 'remove_members';
  // A row that says nothing new is written only for the sake of sessions that may still come late; all members leave a mark
  // of their own for that.
  const isNews =
    action === 'members'
      ? sql`(held.email, held.user_id, held.is_member) is distinct from (excluded.email, excluded.user_id, true)`
      : sql`true`;
  await sql`
    insert into pushed_members as held (cohort_id, distinct_id, email, user_id, is_member, session_id)
    select ${cohortId}::bigint, distinct_id, email, user_id, ${isMember}, ${id}::bigint from pushed_stage
    on conflict (cohort_id, distinct_id) do update
      set email = excluded.email, user_id = excluded.user_id, is_member = excluded.is_member,
        session_id = excluded.session_id
      where held.session_id < excluded.session_id and ${isNews}
  `.execute(db);
  if (action === 'members') {
    await sql`
      update pushed_members as held set is_member = false, session_id = ${id}
      where cohort_id = ${cohortId} and is_member and session_id < ${id}
        and not exists (select from pushed_stage where pushed_stage.distinct_id = held.distinct_id)
    `.execute(db);
    await db.updateTable('cohorts').set({ replaced_by: id }).where('id', '=', cohortId).execute();
  }
  await sql`drop table pushed_stage`.execute(db);
  return { nameless, unknown };
}

async function countNameless(db: Db, sessionId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pushed_pages, json_array_elements(members) as member
    where session_id = ${sessionId} and json_typeof(member) = 'null'
  `.execute(db);
  return rows[0]!.count;
}

/**
 * Those to be removed who are not in the cohort by their distinct_id. On original ID merge Mixpanel may have chosen another one
 * since: whoever was pushed with their userId, or without one with their e-mail, leaves. Where that could be several people
 * nobody does. Gives how many are in it under no name.
 */
async function removeByOtherNames(
  db: Db,
  cohortId: string,
  sessionId: string,
  idMerge: IdMerge | null,
): Promise<number> {
  const { rows } = await sql<{ unknown: number }>`
    with strangers as (
      select distinct_id, lower(btrim(email)) as email, user_id from pushed_stage
      where not exists (
        select from pushed_members held
        where held.cohort_id = ${cohortId} and held.distinct_id = pushed_stage.distinct_id and held.is_member
      )
    ), named as (
      select strangers.distinct_id as stranger, held.distinct_id, held.user_id from strangers join pushed_members held on (
        held.user_id = strangers.user_id
        or (lower(btrim(held.email)) = strangers.email and (held.user_id is null or strangers.user_id is null))
      )
      where ${idMerge === 'ORIGINAL'} and held.cohort_id = ${cohortId} and held.is_member and held.session_id < ${sessionId}
    ), clear as (
      select stranger from named group by stranger having count(distinct user_id) <= 1
    ), removed as (
      update pushed_members set is_member = false, session_id = ${sessionId}
      where cohort_id = ${cohortId} and distinct_id in (select distinct_id from named join clear using (stranger))
    )
    select count(*)::int as unknown from strangers where distinct_id not in (select stranger from clear)
  `.execute(db);
  return rows[0]!.unknown;
}

/** Those who left, unless a session that was begun before may still become whole. */
async function forgetLeft(db: Db, cohortId: string): Promise<void> {
  await sql`
    delete from pushed_members where cohort_id = ${cohortId} and not is_member and session_id < coalesce(
      (select min(id) from pushed_sessions where cohort_id = ${cohortId} and state in ('OPEN', 'WHOLE')),
      9223372036854775807
    )
  `.execute(db);
}

/** Of all sessions that have been applied; without a note the one from before stays. */
export async function setPushed(
  db: Db,
  cohortId: string,
  { now, note }: { now: Date; note: string | null | undefined },
): Promise<void> {
  const members = await countPushedMembers(db, cohortId);
  await db
    .updateTable('cohorts')
    .set({ refreshed_at: now, member_count: members, ...(note === undefined ? {} : { source_note: note }) })
    .where('id', '=', cohortId)
    .execute();
}

export async function setSourceNote(db: Db, cohortId: string, note: string): Promise<void> {
  await db.updateTable('cohorts').set({ source_note: note }).where('id', '=', cohortId).execute();
}

/** How many people all members were when they were told last, changed by what came since; null before they were told. */
export async function findPushedSize(db: Db, cohortId: string): Promise<number | null> {
  const row = await db
    .selectFrom('cohorts')
    .select('member_count')
    .where('id', '=', cohortId)
    .executeTakeFirstOrThrow();
  return row.member_count;
}

export async function countPushedMembers(db: Db, cohortId: string): Promise<number> {
  const row = await db
    .selectFrom('pushed_members')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('cohort_id', '=', cohortId)
    .where('is_member', '=', true)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** In the order of their distinct_ids. */
export function readPushedMembers(
  db: Db,
  cohortId: string,
  after: string,
  limit: number,
): Promise<PushedMember[]> {
  return db
    .selectFrom('pushed_members')
    .select(['distinct_id', 'email', 'user_id'])
    .where('cohort_id', '=', cohortId)
    .where('is_member', '=', true)
    .where('distinct_id', '>', after)
    .orderBy('distinct_id')
    .limit(limit)
    .execute();
}
