import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { PushAction, PushState } from '../values.ts';
import { isNotedLately } from './webhook-endpoint.ts';

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

/** The cohort of a page; its session as it was before, if it was begun; and whether the page was stored. */
interface Outcome {
  cohort_id: string;
  name: string;
  description: string | null;
  present: boolean;
  last_received_at: Date | null;
  state: PushState | null;
  is_stored: boolean;
}

/**
 * Keeps one page, and the cohort and the session when they are new. A page that comes again replaces itself until its session
 * is whole; from then on it changes nothing, and does not wait for what is being applied. Pages of one session may come at the
 * same time.
 */
export async function insertPage(db: Db, page: PushedPage): Promise<void> {
  let outcome = await storePage(db, page);
  if (!isSettled(outcome)) {
    outcome = await db.transaction().execute(async (trx) => {
      await beginSession(trx, page);
      return await storePage(trx, page);
    });
  }
  if (!isSettled(outcome)) throw new Error('A page found neither a place nor a session that is over.');
  await noteCohort(db, outcome, page);
}

function isSettled(outcome: Outcome | undefined): outcome is Outcome {
  if (!outcome) return false;
  return outcome.is_stored || (outcome.state !== null && outcome.state !== 'OPEN');
}

/**
 * One statement, because most calls need no other. Undefined when there is no such cohort. Not stored when there is no such
 * session, when it is no longer open, or was told to have another number of pages.
 */
async function storePage(db: Db, page: PushedPage): Promise<Outcome | undefined> {
  // FOR SHARE lets pages of one session in side by side, and holds up who is about to make it WHOLE. A page that is late sees
  // that it is, waiting for no more than that: who applies it has made it WHOLE in a transaction before.
  const { rows } = await sql<Outcome>`
    with told_cohort as (
      select id, name, description, present, last_received_at from cohorts
      where project_id = ${page.projectId} and source = 'MIXPANEL_WEBHOOK'
        and source_project_id = ${page.mixpanelProjectId} and external_id = ${page.cohortId}
    ), told_session as (
      select id, state from pushed_sessions
      where cohort_id = (select id from told_cohort)
        and session_id = ${page.sessionId} and action = ${page.action}
    ), open_session as (
      select id from pushed_sessions
      where id = (select id from told_session) and state = 'OPEN' and total_pages = ${page.totalPages}
      for share
    ), stored as (
      insert into pushed_pages (session_id, number, members)
      select id, ${page.number}::integer, ${page.members}::json from open_session
      on conflict (session_id, number) do update set members = excluded.members
      returning session_id
    )
    select told_cohort.id as cohort_id, name, description, present, last_received_at,
      (select state from told_session) as state, exists (select from stored) as is_stored
    from told_cohort
  `.execute(db);
  return rows[0];
}

/**
 * Makes the cohort and the session when there is none; otherwise the session is to have as many pages as was told last. No
 * other page of it is stored meanwhile, and it stays open, if it is, until the transaction ends.
 */
async function beginSession(db: Db, page: PushedPage): Promise<void> {
  const cohortId = await ensureCohort(db, page);
  const begun = await db
    .insertInto('pushed_sessions')
    .values({
      cohort_id: cohortId,
      action: page.action,
      session_id: page.sessionId,
      total_pages: page.totalPages,
      begun_at: page.now,
    })
    .onConflict((conflict) => conflict.columns(['cohort_id', 'session_id', 'action']).doNothing())
    .returning('id')
    .executeTakeFirst();
  if (begun) return;
  await db
    .updateTable('pushed_sessions')
    .set({ total_pages: page.totalPages })
    .where('cohort_id', '=', cohortId)
    .where('session_id', '=', page.sessionId)
    .where('action', '=', page.action)
    .where('state', '=', 'OPEN')
    .execute();
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
      last_received_at: page.now,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return (await find())!.id;
}

/** What the page says of the cohort itself, unless it is late; when it came to the second, because many come in one. */
async function noteCohort(db: Db, known: Outcome, page: PushedPage): Promise<void> {
  const { now } = page;
  const name = known.is_stored ? page.cohortName : known.name;
  const description = (known.is_stored ? page.description : null) ?? known.description;
  if (!known.present || name !== known.name || description !== known.description) {
    await db
      .updateTable('cohorts')
      .set({ name, description, present: true, last_received_at: now })
      .where('id', '=', known.cohort_id)
      .execute();
  } else if (!isNotedLately(known.last_received_at, now)) {
    // One of those who come at once is enough. Who applies a session keeps the row for longer than an answer may take.
    await sql`
      update cohorts set last_received_at = ${now} where id = (
        select id from cohorts where id = ${known.cohort_id}
          and (last_received_at is null or last_received_at < ${now}::timestamptz - interval '1 second')
        for no key update skip locked
      )
    `.execute(db);
  }
}
