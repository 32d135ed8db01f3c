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

export interface InboxEvent {
  id: string;
  receivedAt: Date;
  body: string;
}

/** The oldest first. */
export function loadInbox(db: Db, projectId: string, limit: number): Promise<InboxEvent[]> {
  return db
    .selectFrom('messaging_inbox')
    .select(['id', 'received_at as receivedAt', 'body'])
    .where('project_id', '=', projectId)
    .orderBy('id')
    .limit(limit)
    .execute();
}

export async function deleteFromInbox(db: Db, ids: readonly string[]): Promise<void> {
  await db
    .deleteFrom('messaging_inbox')
    .where('id', '=', sql<string>`any(${toPlainArray(ids)}::bigint[])`)
    .execute();
}
