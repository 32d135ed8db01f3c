import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { PushedSessionRow } from '../tables.ts';
import type { PushAction } from '../values.ts';

export interface PushedPage {
  projectId: string;
  mixpanelProjectId: string;
  cohortId: string;
  cohortName: string;
  description: string | null;
  sessionId: string;
  action: PushAction;
  /** 1-based. */
  number: number;
  totalPages: number;
  /** JSON rows [distinct_id, email, userId]. */
  members: string;
  now: Date;
}

/**
 * Keeps one page, and the cohort and the session when they are new. A page that comes again replaces itself until its session
 * is whole. db must be a transaction.
 */
export async function insertPage(db: Db, page: PushedPage): Promise<void> {
  const cohortId = await ensureCohort(db, page);
  const known = await db
    .selectFrom('pushed_sessions')
    .select('state')
    .where('cohort_id', '=', cohortId)
    .where('session_id', '=', page.sessionId)
    .where('action', '=', page.action)
    .executeTakeFirst();
  // Also the row of one that is being applied is not waited for.
  const isNews = known === undefined || known.state === 'OPEN';
  if (isNews) await insertIntoSession(db, cohortId, page);
  const { cohortName: name, description, now } = page;
  await noteCohort(
    db,
    cohortId,
    isNews ? { name, description, now } : { name: null, description: null, now },
  );
}

async function insertIntoSession(db: Db, cohortId: string, page: PushedPage): Promise<void> {
  // Locks the session's row: its pages are counted one after the other.
  const session = await db
    .insertInto('pushed_sessions')
    .values({
      cohort_id: cohortId,
      action: page.action,
      session_id: page.sessionId,
      total_pages: page.totalPages,
      begun_at: page.now,
    })
    .onConflict((conflict) =>
      conflict.columns(['cohort_id', 'session_id', 'action']).doUpdateSet({ total_pages: page.totalPages }),
    )
    .returning(['id', 'state'])
    .executeTakeFirstOrThrow();
  if (session.state !== 'OPEN') return;
  await db
    .insertInto('pushed_pages')
    .values({ session_id: session.id, number: page.number, members: page.members })
    .onConflict((conflict) =>
      conflict.columns(['session_id', 'number']).doUpdateSet({ members: page.members }),
    )
    .execute();
  await sql`
    update pushed_sessions set pages = counted.pages,
      state = case when counted.pages = total_pages then 'WHOLE' else 'OPEN' end
    from (
      select count(*)::int as pages from pushed_pages
      where session_id = ${session.id} and number <= ${page.totalPages}
    ) as counted
    where id = ${session.id}
  `.execute(db);
}

async function ensureCohort(db: Db, page: PushedPage): Promise<string> {
  const find = () =>
    db
      .selectFrom('cohorts')
      .select('id')
      .where('project_id', '=', page.projectId)
      .where('source', '=', 'MIXPANEL_WEBHOOK')
      .where('source_project_id', '=', page.mixpanelProjectId)
      .where('external_id', '=', page.cohortId)
      .executeTakeFirst();
  const known = await find();
  if (known) return known.id;
  await db
    .insertInto('cohorts')
    .values({
      project_id: page.projectId,
      source: 'MIXPANEL_WEBHOOK',
      source_project_id: page.mixpanelProjectId,
      external_id: page.cohortId,
      name: page.cohortName,
      description: page.description,
      refreshed_at: page.now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await find())!.id;
}

/** What the page says of the cohort itself; when it came to the second, because many come in one. */
async function noteCohort(
  db: Db,
  cohortId: string,
  told: { name: string | null; description: string | null; now: Date },
): Promise<void> {
  const { name, description, now } = told;
  await sql`
    update cohorts set name = coalesce(${name}, name), description = coalesce(${description}, description),
      last_received_at = ${now}, present = true
    where id = ${cohortId} and (
      name <> ${name} or description is distinct from coalesce(${description}, description)
      or not present or last_received_at is null or last_received_at < ${now}::timestamptz - interval '1 second'
    )
  `.execute(db);
}

/** Cohorts with sessions that can be applied. */
export async function listPushedCohorts(db: Db): Promise<string[]> {
  const rows = await db
    .selectFrom('pushed_sessions')
    .select('cohort_id')
    .distinct()
    .where('state', '=', 'WHOLE')
    .limit(100)
    .execute();
  return rows.map((row) => row.cohort_id);
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

/** An incomplete session says nothing any more once its pages are this old. Gives those that are over now. */
export async function expireSessions(db: Db, before: Date): Promise<PushedSessionRow[]> {
  const expired = await db
    .updateTable('pushed_sessions')
    .set({ state: 'EXPIRED' })
    .where('state', '=', 'OPEN')
    .where('begun_at', '<', before)
    .returningAll()
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
