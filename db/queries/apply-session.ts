import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { IdMerge } from '../values.ts';
import type { PushedSessionRow } from '../webhook-tables.ts';
import { forgetLeft, removeByOtherNames, STRANGERS_EMAIL } from './pushed-names.ts';

/** What of a session could not be used. */
export interface PushedLeftovers {
  /** Rows that name nobody. */
  nameless: number;
  /** People to be removed who are in the cohort under no name. */
  unknown: number;
}

export interface AppliedSession extends PushedLeftovers {
  /** Whether it told all members, so that nothing said before counts any more. */
  isReplaced: boolean;
}

const NOTHING: AppliedSession = { nameless: 0, unknown: 0, isReplaced: false };

/**
 * Makes the cohort what the session says of it. Of somebody whom a newer session has named it says nothing, and nothing at
 * all when a newer one has told all members. Who left before leftSince may be forgotten. Within a transaction, one session of a cohort at a time.
 */
export async function applySession(
  db: Db,
  session: PushedSessionRow,
  { leftSince }: { leftSince: Date },
): Promise<AppliedSession> {
  const { id, cohort_id: cohortId } = session;
  const { replaced_by: replacedBy, id_merge: idMerge } = await db
    .selectFrom('cohorts')
    .leftJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'cohorts.project_id')
    .select(['replaced_by', 'id_merge'])
    .where('cohorts.id', '=', cohortId)
    .executeTakeFirstOrThrow();
  const isNewer = replacedBy === null || BigInt(id) > BigInt(replacedBy);
  const applied = isNewer ? await applyNewer(db, session, idMerge) : NOTHING;
  await db.updateTable('pushed_sessions').set({ state: 'APPLIED' }).where('id', '=', id).execute();
  await db.deleteFrom('pushed_pages').where('session_id', '=', id).execute();
  await forgetLeft(db, cohortId, leftSince);
  return applied;
}

async function applyNewer(
  db: Db,
  session: PushedSessionRow,
  idMerge: IdMerge | null,
): Promise<AppliedSession> {
  const { id, cohort_id: cohortId, action } = session;
  const staged = await stageRows(db, id);
  const nameless = await countNameless(db, id);
  // Rows that cannot be read, or pages without a list, do not say that nobody is left.
  const isReplaced = action === 'members' && (staged > 0 || (nameless === 0 && session.total_pages === 1));
  const unknown = action === 'remove_members' ? await removeByOtherNames(db, session, idMerge) : 0;
  await mergeStage(db, session);
  if (isReplaced) {
    await sql`
      update pushed_members as held set is_member = false, session_id = ${id}
      where cohort_id = ${cohortId} and is_member and session_id < ${id}
        and not exists (select from pushed_stage where pushed_stage.distinct_id = held.distinct_id)
    `.execute(db);
    await db.updateTable('cohorts').set({ replaced_by: id }).where('id', '=', cohortId).execute();
  }
  await sql`drop table pushed_stage`.execute(db);
  return { nameless, unknown, isReplaced };
}

/** Of somebody who comes twice the first row counts. A row that names nobody is null. Gives how many are staged. */
async function stageRows(db: Db, sessionId: string): Promise<number> {
  await sql`
    create temporary table pushed_stage on commit drop as
    select distinct on (distinct_id) distinct_id, email, user_id
    from (
      select (member ->> 0) collate "C" as distinct_id, member ->> 1 as email, member ->> 2 as user_id, number, place
      from pushed_pages, json_array_elements(members) with ordinality as listed (member, place)
      where session_id = ${sessionId} and json_typeof(member) <> 'null'
    ) as rows
    order by distinct_id, number, place
  `.execute(db);
  await sql`analyze pushed_stage`.execute(db);
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from pushed_stage`.execute(db);
  return rows[0]!.count;
}

async function countNameless(db: Db, sessionId: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pushed_pages, json_array_elements(members) as member
    where session_id = ${sessionId} and json_typeof(member) = 'null'
  `.execute(db);
  return rows[0]!.count;
}

async function mergeStage(db: Db, { id, cohort_id: cohortId, action }: PushedSessionRow): Promise<void> {
  const isMember = action !== 'remove_members';
  // Who leaves keeps the names they had; a stranger has none. See removeByOtherNames.
  const names = isMember
    ? { told: sql`email, user_id`, kept: sql`excluded.email, excluded.user_id` }
    : { told: sql`${STRANGERS_EMAIL}, null`, kept: sql`held.email, held.user_id` };
  // A row that says nothing new is written only for the sake of sessions that may still come late; all members leave a mark
  // of their own for that.
  const isNews =
    action === 'members'
      ? sql`(held.email, held.user_id, held.is_member) is distinct from (excluded.email, excluded.user_id, true)`
      : sql`true`;
  await sql`
    insert into pushed_members as held (cohort_id, distinct_id, email, user_id, is_member, session_id)
    select ${cohortId}::bigint, distinct_id, ${names.told}, ${isMember}, ${id}::bigint from pushed_stage
    on conflict (cohort_id, distinct_id) do update
      set (email, user_id) = row (${names.kept}), is_member = excluded.is_member, session_id = excluded.session_id
      where held.session_id < excluded.session_id and ${isNews}
  `.execute(db);
}
