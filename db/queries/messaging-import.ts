import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** False when another process imports this project's events. Until the end of the transaction, or of the connection. */
export async function tryLockImport(trx: Db, projectId: string): Promise<boolean> {
  const { rows } = await sql<{ isMine: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${`messaging-import:${projectId}`}, 0)) as "isMine"
  `.execute(trx);
  return rows[0]!.isMine;
}

/** How often in a row Mixpanel has not taken the project's events. */
export async function countImportFailures(db: Db, projectId: string): Promise<number> {
  const row = await db
    .selectFrom('messaging_imports')
    .select('failures')
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return row?.failures ?? 0;
}

/** Mixpanel is asked again at this time. */
export async function putImportOff(
  db: Db,
  projectId: string,
  { failures, retryAt }: { failures: number; retryAt: Date },
): Promise<void> {
  await db
    .insertInto('messaging_imports')
    .values({ project_id: projectId, failures, retry_at: retryAt })
    .onConflict((conflict) => conflict.column('project_id').doUpdateSet({ failures, retry_at: retryAt }))
    .execute();
}

/** Mixpanel has taken events, or is connected anew: nothing is wrong any more. */
export async function clearImportFailures(db: Db, projectId: string): Promise<void> {
  await db.deleteFrom('messaging_imports').where('project_id', '=', projectId).execute();
  await db
    .updateTable('mixpanel_connections')
    .set({ import_attention: null })
    .where('project_id', '=', projectId)
    .where('import_attention', 'is not', null)
    .execute();
}

export async function setImportAttention(db: Db, projectId: string, attention: string): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ import_attention: attention })
    .where('project_id', '=', projectId)
    .execute();
}
