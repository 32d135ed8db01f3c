import { sql } from 'kysely';
import { toPlainArray, toTextArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';
import type { MessagingEventRow } from '../messaging-tables.ts';
import type { MessagingState } from '../values.ts';
import type { ProjectScope } from './scope.ts';

/**
 * One at a time writes a project's events and sums. Until the end of the transaction, whose commit does not wait for the disk:
 * what is lost with the last moments before a crash of the database is filed, or imported, once more. So the webhook, which
 * does wait, finds the disk free.
 */
export async function lockMessaging(trx: Db, projectId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(${lockKey(projectId)}), ${withoutWaiting}`.execute(trx);
}

/** False when another transaction does. */
export async function tryLockMessaging(trx: Db, projectId: string): Promise<boolean> {
  const { rows } = await sql<{ isMine: boolean }>`
    select pg_try_advisory_xact_lock(${lockKey(projectId)}) as "isMine", ${withoutWaiting}`.execute(trx);
  return rows[0]!.isMine;
}

const withoutWaiting = sql`set_config('synchronous_commit', 'off', true)`;

function lockKey(projectId: string) {
  return sql`hashtextextended(${`messaging:${projectId}`}, 0)`;
}

/** When those of these events that are known happened. */
export async function findKnownEvents(
  db: Db,
  projectId: string,
  insertIds: readonly string[],
): Promise<Map<string, Date>> {
  const rows = await db
    .selectFrom('messaging_events')
    .select(['insert_id', 'at'])
    .where('project_id', '=', projectId)
    .where('insert_id', '=', sql<string>`any(${toPlainArray(insertIds)}::uuid[])`)
    .execute();
  return new Map(rows.map((row) => [row.insert_id, row.at]));
}

export type NewMessagingEvent = Omit<MessagingEventRow, 'id' | 'project_id'>;

export async function insertMessagingEvents(
  db: Db,
  projectId: string,
  events: readonly NewMessagingEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const texts = (column: 'event' | 'email' | 'user_id' | 'distinct_id' | 'data' | 'detail') =>
    toTextArray(events.map((event) => event[column]));
  const times = (column: 'at' | 'received_at') =>
    toPlainArray(events.map((event) => event[column].toISOString()));
  await sql`
    insert into messaging_events (project_id, insert_id, event, at, received_at, email, user_id, distinct_id,
      campaign_id, campaign_name, data, state, detail)
    select ${projectId}::bigint, * from unnest(
      ${toPlainArray(events.map((event) => event.insert_id))}::uuid[],
      ${texts('event')}::text[],
      ${times('at')}::timestamptz[],
      ${times('received_at')}::timestamptz[],
      ${texts('email')}::text[],
      ${texts('user_id')}::text[],
      ${texts('distinct_id')}::text[],
      ${toTextArray(events.map((event) => event.campaign_id))}::text[],
      ${toTextArray(events.map((event) => event.campaign_name))}::text[],
      ${texts('data')}::text[],
      ${toPlainArray(events.map((event) => event.state))}::text[],
      ${texts('detail')}::text[]
    )
  `.execute(db);
}

/**
 * Projects with events that wait for Mixpanel, and whose time to ask it again has come; or lies further ahead than any, which
 * a clock has said that was wrong.
 */
export async function listImportableProjects(db: Db, now: Date): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select projects.id from projects
    join mixpanel_connections on mixpanel_connections.project_id = projects.id
    left join messaging_imports on messaging_imports.project_id = projects.id
    where exists (
      select from messaging_events where messaging_events.project_id = projects.id and state = 'PENDING'
    ) and coalesce(
      messaging_imports.retry_at <= ${now} or messaging_imports.retry_at > ${now}::timestamptz + interval '1 hour', true)
    order by projects.id
  `.execute(db);
  return rows.map((row) => row.id);
}

export type PendingEvent = Omit<MessagingEventRow, 'project_id' | 'received_at' | 'state' | 'detail'>;

/** In the order in which they were filed, after one of them: at most so many, and one at least of so many bytes. */
export async function loadPendingEvents(
  db: Db,
  projectId: string,
  { after, events, bytes }: { after: string; events: number; bytes: number },
): Promise<PendingEvent[]> {
  const { rows } = await sql<PendingEvent>`
    select id, insert_id, event, at, email, user_id, distinct_id, campaign_id, campaign_name, data
    from (
      select *, sum(octet_length(data)) over (order by id) - octet_length(data) as before
      from (
        select * from messaging_events
        where project_id = ${projectId} and state = 'PENDING' and id > ${after}
        order by id limit ${events}
      ) as oldest
    ) as oldest
    where coalesce(before, 0) < ${bytes}
    order by id
  `.execute(db);
  return rows;
}

export async function setImported(db: Db, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('messaging_events')
    .set({ state: 'IMPORTED' })
    .where('id', '=', sql<string>`any(${toPlainArray(ids)}::bigint[])`)
    .execute();
}

/** Each with why. */
export async function setRejected(db: Db, refused: readonly { id: string; detail: string }[]): Promise<void> {
  if (refused.length === 0) return;
  await sql`
    update messaging_events set state = 'REJECTED', detail = refused.detail
    from unnest(
      ${toPlainArray(refused.map(({ id }) => id))}::bigint[],
      ${toTextArray(refused.map(({ detail }) => detail))}::text[]
    ) as refused (id, detail)
    where messaging_events.id = refused.id
  `.execute(db);
}

/** Old ones that wait for nothing. Gives how many. */
export async function deleteOldMessagingEvents(db: Db, before: Date, limit: number): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('messaging_events')
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('messaging_events')
        .select('id')
        .where('received_at', '<', before)
        .where('state', '<>', 'PENDING')
        .orderBy('received_at')
        .limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

export interface StoryMessagingEvent {
  id: string;
  event: string;
  at: Date;
  email: string | null;
  userId: string | null;
  distinctId: string | null;
  campaignName: string | null;
  state: MessagingState;
  detail: string | null;
}

/** Of whoever is known by this in the project, the newest first. */
export function loadStoryEvents(
  { db, projectId }: ProjectScope,
  column: 'distinct_id' | 'email' | 'user_id',
  value: string,
  limit: number,
): Promise<StoryMessagingEvent[]> {
  return db
    .selectFrom('messaging_events')
    .select([
      'id',
      'event',
      'at',
      'email',
      'user_id as userId',
      'distinct_id as distinctId',
      'campaign_name as campaignName',
      'state',
      'detail',
    ])
    .where('project_id', '=', projectId)
    .where(column, '=', value)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
}
