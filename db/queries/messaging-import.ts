import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/**
 * False when another process imports this project's events. Until the end of the transaction, or of the connection. The
 * transaction may be idle for as long as Mixpanel takes to answer.
 */
export async function tryLockImport(trx: Db, projectId: string): Promise<boolean> {
  const { rows } = await sql<{ isMine: boolean }>`
    select pg_try_advisory_xact_lock(hashtextextended(${`messaging-import:${projectId}`}, 0)) as "isMine",
      set_config('idle_in_transaction_session_timeout', '0', true)
  `.execute(trx);
  return rows[0]!.isMine;
}

/**
 * True when the project is still connected to Mixpanel as it was at this time; it is until the transaction ends. Before what is
 * written of its imports, here and by who connects anew.
 */
export async function lockConnection(trx: Db, projectId: string, connectedAt: Date): Promise<boolean> {
  const row = await trx
    .selectFrom('mixpanel_connections')
    .select('id')
    .where('project_id', '=', projectId)
    .where('connected_at', '=', connectedAt)
    .forUpdate()
    .executeTakeFirst();
  return row !== undefined;
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
  await db
    .updateTable('mixpanel_connections')
    .set({ import_attention: null })
    .where('project_id', '=', projectId)
    .where('import_attention', 'is not', null)
    .execute();
  await db.deleteFrom('messaging_imports').where('project_id', '=', projectId).execute();
}

export async function setImportAttention(db: Db, projectId: string, attention: string): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ import_attention: attention })
    .where('project_id', '=', projectId)
    .execute();
}
