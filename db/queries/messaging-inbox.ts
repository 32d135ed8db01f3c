import { sql } from 'kysely';
import { toPlainArray, toTextArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';

export interface ReceivedEvent {
  projectId: string;
  receivedAt: Date;
  /** JSON. */
  body: string;
}

/** All of them or none, in one statement. */
export async function insertReceived(db: Db, events: readonly ReceivedEvent[]): Promise<void> {
  await sql`
    insert into messaging_inbox (project_id, received_at, body)
    select * from unnest(
      ${toPlainArray(events.map(({ projectId }) => projectId))}::bigint[],
      ${toPlainArray(events.map(({ receivedAt }) => receivedAt.toISOString()))}::timestamptz[],
      ${toTextArray(events.map(({ body }) => body))}::text[]
    )
  `.execute(db);
}

/** Projects with events that are not filed. */
export async function listInboxProjects(db: Db): Promise<string[]> {
  // From project to project, and not from event to event: there may be a million.
  const { rows } = await sql<{ id: string }>`
    select id from projects
    where exists (select from messaging_inbox where messaging_inbox.project_id = projects.id)
    order by id
  `.execute(db);
  return rows.map((row) => row.id);
}

/** Undefined when nothing of the project waits to be filed. */
export async function findLastInInbox(db: Db, projectId: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('messaging_inbox')
    .select('id')
    .where('project_id', '=', projectId)
    .orderBy('id', 'desc')
    .limit(1)
    .executeTakeFirst();
  return row?.id;
}

/** The oldest first. */
export async function listInboxIds(db: Db, projectId: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('messaging_inbox')
    .select('id')
    .where('project_id', '=', projectId)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map((row) => row.id);
}

export interface InboxEvent {
  id: string;
  receivedAt: Date;
  body: string;
}

/** The oldest first: at most so many, and one at least of so many bytes. */
export async function loadInbox(
  db: Db,
  projectId: string,
  { events, bytes }: { events: number; bytes: number },
): Promise<InboxEvent[]> {
  const { rows } = await sql<InboxEvent>`
    select id, received_at as "receivedAt", body
    from (
      select id, received_at, body, sum(octet_length(body)) over (order by id) - octet_length(body) as before
      from (
        select id, received_at, body from messaging_inbox where project_id = ${projectId} order by id limit ${events}
      ) as oldest
    ) as oldest
    where before < ${bytes}
    order by id
  `.execute(db);
  return rows;
}

export async function deleteFromInbox(db: Db, ids: readonly string[]): Promise<void> {
  await db
    .deleteFrom('messaging_inbox')
    .where('id', '=', sql<string>`any(${toPlainArray(ids)}::bigint[])`)
    .execute();
}
