import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { IdMerge } from '../values.ts';
import type { PushedSessionRow } from '../webhook-tables.ts';

/*
 * On original ID merge Mixpanel may choose another distinct_id for somebody, who is then to be removed under a name that the
 * cohort does not know; and it repeats what it does not know to have arrived. So that a removal that comes again takes nobody
 * else, who left is remembered for as long as it may come, but no longer than until all members are told anew.
 */

/** Of the row that a stranger to be removed leaves. */
export const STRANGERS_EMAIL = '';

/** Who left since all members were told last. */
const hasLeft = (cohortId: string) => sql`
  not is_member and email is distinct from ${STRANGERS_EMAIL}
    and session_id > coalesce((select replaced_by from cohorts where id = ${cohortId}), 0)
`;
const email = sql`nullif(lower(btrim(email)), '')`;
/** U+FFFD stands for a value that is no text. */
const userId = sql`nullif(nullif(btrim(user_id), ''), chr(65533))`;

/**
 * Those of pushed_stage who are not in the cohort by their distinct_id. On original ID merge each is found by userId, or by e-mail
 * among those who have no other userId, and leaves if it is exactly one of all who are or were in the cohort. Gives how many
 * were not found. Names in pushed_stage are well-formed, e-mails in lower case.
 */
export async function removeByOtherNames(
  db: Db,
  { id, cohort_id: cohortId }: PushedSessionRow,
  idMerge: IdMerge | null,
): Promise<number> {
  const { rows } = await sql<{ unknown: number }>`
    with strangers as (
      select distinct_id, email, user_id from pushed_stage
      where not exists (
        select from pushed_members held
        where held.cohort_id = ${cohortId} and held.distinct_id = pushed_stage.distinct_id and held.is_member
      )
    ), sought as (
      select distinct_id, email, user_id from strangers
      where ${idMerge === 'ORIGINAL'} and not exists (
        select from pushed_members held
        where held.cohort_id = ${cohortId} and held.distinct_id = strangers.distinct_id and ${hasLeft(cohortId)}
      )
    ), people as not materialized (
      select distinct_id, ${email} as email, ${userId} as user_id, is_member and session_id < ${id} as may_leave
      from pushed_members
      where cohort_id = ${cohortId} and (is_member or ${hasLeft(cohortId)})
    ), by_user_id as (
      select sought.distinct_id as stranger, people.distinct_id, may_leave
      from sought join people using (user_id)
    ), named as (
      select * from by_user_id
      union all
      select sought.distinct_id, people.distinct_id, may_leave
      from sought join people on people.email = sought.email
        and (people.user_id is null or sought.user_id is null)
      where not exists (select from by_user_id where stranger = sought.distinct_id)
    ), clear as (
      select min(distinct_id) as distinct_id from named group by stranger having count(*) = 1 and bool_and(may_leave)
    ), removed as (
      update pushed_members set is_member = false, session_id = ${id}
      where cohort_id = ${cohortId} and distinct_id in (
        select distinct_id from clear
        where not exists (select from pushed_stage where pushed_stage.distinct_id = clear.distinct_id)
      )
      returning 1
    )
    select (select count(*) from strangers)::int - (select count(*) from removed)::int as unknown
  `.execute(db);
  return rows[0]!.unknown;
}

/** Cohorts with people who left and were not forgotten. */
export async function listCohortsWithLeft(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('pushed_members')
    .select('cohort_id')
    .distinct()
    .where((eb) => eb.not('is_member'))
    .execute();
  return rows.map((row) => row.cohort_id);
}

/**
 * Those who left, unless a session that was begun before may still become whole; on original ID merge those only who left by
 * sessions that were begun before `since`. Not while a session of the cohort is being applied.
 */
export async function forgetLeft(db: Db, cohortId: string, since: Date): Promise<void> {
  await sql`
    delete from pushed_members where cohort_id = ${cohortId} and not is_member and session_id < coalesce(
      (
        select min(pushed_sessions.id) from pushed_sessions
          join cohorts on cohorts.id = cohort_id
          left join mixpanel_connections using (project_id)
        where cohort_id = ${cohortId} and (
          state in ('OPEN', 'WHOLE')
          or (id_merge = 'ORIGINAL' and begun_at >= ${since} and pushed_sessions.id > coalesce(replaced_by, 0))
        )
      ),
      9223372036854775807
    )
  `.execute(db);
}
