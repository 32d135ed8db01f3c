import { sql } from 'kysely';
import { toPlainArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';
import type { MessagingFilingRow } from '../messaging-tables.ts';

/**
 * From the note of what is to be filed to the transaction that does it is a moment; who has not come so far after this long has
 * died on the way.
 */
const NOTED_FOR = sql`interval '5 seconds'`;

/** isNoted: somebody is about to file it. */
export async function findFiling(
  db: Db,
  projectId: string,
): Promise<(MessagingFilingRow & { isNoted: boolean }) | undefined> {
  return await db
    .selectFrom('messaging_filings')
    .selectAll()
    .select(sql<boolean>`first_id is not null and begun_at > now() - ${NOTED_FOR}`.as('isNoted'))
    .where('project_id', '=', projectId)
    .executeTakeFirst();
}

export interface FilingNote {
  attempt: string;
  /** Both null: nothing is under way. */
  firstId: string | null;
  lastId: string | null;
  isAlone: boolean;
  aloneUntil: string | null;
}

export async function noteFiling(db: Db, projectId: string, note: FilingNote): Promise<void> {
  const row = {
    attempt: note.attempt,
    begun_at: sql<Date>`now()`,
    first_id: note.firstId,
    last_id: note.lastId,
    is_alone: note.isAlone,
    alone_until: note.aloneUntil,
  };
  await db
    .insertInto('messaging_filings')
    .values({ project_id: projectId, ...row })
    .onConflict((conflict) => conflict.column('project_id').doUpdateSet(row))
    .execute();
}

/** False when it is another's by now: nothing may be filed then. */
export async function endFiling(db: Db, projectId: string, attempt: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('messaging_filings')
    .set({ first_id: null, last_id: null })
    .where('project_id', '=', projectId)
    .where('attempt', '=', attempt)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** Takes events out of the inbox, without looking into them. */
export async function setAside(
  db: Db,
  events: { ids: readonly string[]; reason: string; now: Date },
): Promise<void> {
  await sql`
    with gone as (
      delete from messaging_inbox where id = any(${toPlainArray(events.ids)}::bigint[])
      returning id, project_id, received_at, body
    )
    insert into messaging_set_aside (id, project_id, received_at, body, reason, set_aside_at)
    select id, project_id, received_at, body, ${events.reason}, ${events.now} from gone
  `.execute(db);
}

/** The number of those that were deleted. */
export async function deleteOldSetAside(db: Db, before: Date, limit: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from messaging_set_aside where id in (
      select id from messaging_set_aside where received_at < ${before} limit ${limit}
    )
  `.execute(db);
  return Number(numAffectedRows ?? 0);
}
