import type { Db } from '../connect.ts';
import { inProject, type ProjectScope } from './scope.ts';

/** Iterable's ids of the lists that the project's exports write to. */
export async function listListIds({ db, projectId }: ProjectScope): Promise<string[]> {
  const rows = await inProject(db, projectId)
    .exports()
    .select('list_id')
    .where('list_id', 'is not', null)
    .execute();
  return rows.map((row) => row.list_id!);
}

/** True when another export of the same integration writes to this list. */
export async function isListTaken(
  db: Db,
  integrationId: string,
  exportId: number,
  listId: string,
): Promise<boolean> {
  const row = await db
    .selectFrom('exports')
    .select('id')
    .where('integration_id', '=', integrationId)
    .where('id', '!=', exportId)
    .where('list_id', '=', listId)
    .executeTakeFirst();
  return row !== undefined;
}

/** From now on the export writes to this list. comparedAt: when we last knew all who are on it. */
export async function setExportList(
  db: Db,
  exportId: number,
  list: { listId: string | null; createdAt: Date | null; comparedAt: Date | null },
): Promise<void> {
  await db
    .updateTable('exports')
    .set({
      list_id: list.listId,
      list_created_at: list.createdAt,
      drift_checked_at: list.comparedAt,
    })
    .where('id', '=', exportId)
    .execute();
}

/**
 * The run is over: the size of its list, how many are kept on it, and one-time exports are complete. Writes nothing when nothing changes. Gives
 * whether a follow-up was asked for.
 */
export async function closeExportRun(
  db: Db,
  exportId: number,
  changes: { listSize?: number; keptCount?: number },
): Promise<{ followUp: boolean; projectId: string }> {
  const before = await db
    .selectFrom('exports')
    .select(['follow_up_requested', 'status', 'sync_type', 'project_id', 'list_size', 'kept_count'])
    .where('id', '=', exportId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const isComplete =
    before.sync_type === 'ONE_TIME' && (before.status === 'ACTIVE' || before.status === 'PAUSED');
  const listSize = changes.listSize ?? before.list_size;
  const keptCount = changes.keptCount ?? before.kept_count;
  const isSame = listSize === before.list_size && keptCount === before.kept_count;
  if (isComplete || before.follow_up_requested || !isSame) {
    await db
      .updateTable('exports')
      .set({
        follow_up_requested: false,
        list_size: listSize,
        kept_count: keptCount,
        ...(isComplete ? { status: 'COMPLETED' as const } : {}),
      })
      .where('id', '=', exportId)
      .execute();
  }
  return {
    followUp: before.follow_up_requested && before.status === 'ACTIVE' && before.sync_type === 'DYNAMIC',
    projectId: before.project_id,
  };
}

/** When we last knew who is on the list; null: the next run has to look. */
export async function setListCompared(db: Db, exportId: number, at: Date | null): Promise<void> {
  await db.updateTable('exports').set({ drift_checked_at: at }).where('id', '=', exportId).execute();
}
