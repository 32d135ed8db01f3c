import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { PushedSessionRow } from '../webhook-tables.ts';

/**
 * An OPEN session has pages 1 to `pages`, and perhaps more. The one that follows tells whether counting on is of use, and costs
 * one look into an index; so a session that waits for a page costs no more, however many it has.
 */
const goesOn = sql<boolean>`exists (
  select from pushed_pages
  where pushed_pages.session_id = pushed_sessions.id
    and pushed_pages.number = least(pushed_sessions.pages + 1, pushed_sessions.total_pages)
)`;

/** Cohorts with sessions that are whole, or may be. */
export async function listPushedCohorts(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('pushed_sessions')
    .select('cohort_id')
    .distinct()
    .where('state', 'in', ['OPEN', 'WHOLE'])
    .where((eb) => eb.or([eb('state', '=', 'WHOLE'), goesOn]))
    .limit(100)
    .execute();
  return rows.map((row) => row.cohort_id);
}

/**
 * Makes the cohort's sessions WHOLE whose pages are all there. Not within a transaction: a page that is repeated waits for it.
 * Any number of processes may call it at once; each returns when what was whole before it is WHOLE for all.
 */
export async function markWholeSessions(db: Db, cohortId: string): Promise<void> {
  const counted = await db
    .selectFrom('pushed_sessions')
    .select(['id', 'total_pages'])
    .select(
      // The last page of those that follow one another without a gap.
      sql<number>`coalesce((
        select max(number) from (
          select number, row_number() over (order by number) as place from pushed_pages
          where pushed_pages.session_id = pushed_sessions.id and number > pushed_sessions.pages
        ) as following
        where number = pushed_sessions.pages + place
      ), pushed_sessions.pages)`.as('pages'),
    )
    .where('cohort_id', '=', cohortId)
    .where('state', '=', 'OPEN')
    .where(goesOn)
    .execute();
  for (const { id, total_pages, pages } of counted) {
    if (pages >= total_pages) await setWhole(db, id, pages);
    else await notePages(db, id, pages);
  }
}

/** Waits for pages that are being stored; what they say of the number of pages counts. */
async function setWhole(db: Db, sessionId: string, pages: number): Promise<void> {
  await db
    .updateTable('pushed_sessions')
    .set({ state: 'WHOLE', pages })
    .where('id', '=', sessionId)
    .where('state', '=', 'OPEN')
    .where('total_pages', '<=', pages)
    .execute();
}

/** For the next count to begin there. Not while pages are being stored: they would keep it waiting, and it them. */
async function notePages(db: Db, sessionId: string, pages: number): Promise<void> {
  await sql`
    update pushed_sessions set pages = ${pages} where id = (
      select id from pushed_sessions where id = ${sessionId} and state = 'OPEN' and pages < ${pages}
      for no key update skip locked
    )
  `.execute(db);
}

/** False when another process applies sessions of this cohort. Until the end of the transaction. */
export async function lockPushedCohort(db: Db, cohortId: string): Promise<boolean> {
  const { rows } = await sql<{ locked: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${`pushed-cohort:${cohortId}`}, 0)) as locked
  `.execute(db);
  return rows[0]!.locked;
}

/** The one that was begun first. */
export function nextWholeSession(db: Db, cohortId: string): Promise<PushedSessionRow | undefined> {
  return db
    .selectFrom('pushed_sessions')
    .selectAll()
    .where('cohort_id', '=', cohortId)
    .where('state', '=', 'WHOLE')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst();
}

/**
 * An incomplete session says nothing any more once it is this old. Gives those that are over now, with the number of pages
 * that came. db must be a transaction.
 */
export async function expireSessions(db: Db, before: Date): Promise<PushedSessionRow[]> {
  // From here on no page comes into them: they are counted for good.
  const old = await db
    .selectFrom('pushed_sessions')
    .select('id')
    .where('state', '=', 'OPEN')
    .where('begun_at', '<', before)
    .orderBy('id')
    .forUpdate()
    .execute();
  if (old.length === 0) return [];
  const ids = old.map(({ id }) => id);
  await sql`
    update pushed_sessions set pages = counted.pages,
      state = case when counted.pages = total_pages then 'WHOLE' else 'EXPIRED' end
    from (
      select id as session_id, (
        select count(*)::int from pushed_pages where pushed_pages.session_id = pushed_sessions.id and number <= total_pages
      ) as pages
      from pushed_sessions where id = any(${ids}::bigint[])
    ) as counted
    where id = counted.session_id
  `.execute(db);
  const expired = await db
    .selectFrom('pushed_sessions')
    .selectAll()
    .where('id', 'in', ids)
    .where('state', '=', 'EXPIRED')
    .execute();
  if (expired.length === 0) return [];
  await db
    .deleteFrom('pushed_pages')
    .where(
      'session_id',
      'in',
      expired.map(({ id }) => id),
    )
    .execute();
  return expired;
}

/** What is over for this long is forgotten: nobody repeats its pages any more. */
export async function deleteOldSessions(db: Db, before: Date): Promise<void> {
  await db
    .deleteFrom('pushed_sessions')
    .where('state', 'in', ['APPLIED', 'EXPIRED'])
    .where('begun_at', '<', before)
    .execute();
}
