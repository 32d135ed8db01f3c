import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ExportRow } from '../tables.ts';
import type { ExportStatus, SyncType } from '../values.ts';

/** The export as it is, and nobody else changes it before the transaction ends. */
export async function lockExport(db: Db, exportId: number): Promise<ExportRow> {
  return db
    .selectFrom('exports')
    .selectAll()
    .where('id', '=', exportId)
    .forUpdate()
    .executeTakeFirstOrThrow();
}

export interface WantedExport {
  projectId: string;
  cohortId: string;
  integrationId: string;
  syncType: SyncType;
  listName: string;
  now: Date;
}

/** The export of this cohort to this integration, made when there is none yet, and locked. */
export async function lockOrInsertExport(db: Db, wanted: WantedExport): Promise<ExportRow> {
  return db
    .insertInto('exports')
    .values({
      project_id: wanted.projectId,
      cohort_id: wanted.cohortId,
      integration_id: wanted.integrationId,
      sync_type: wanted.syncType,
      status: 'ACTIVE',
      list_name: wanted.listName,
      created_at: wanted.now,
    })
    .onConflict((conflict) =>
      // Changes nothing, but locks and returns the row that is there.
      conflict.columns(['cohort_id', 'integration_id']).doUpdateSet({ cohort_id: wanted.cohortId }),
    )
    .returningAll()
    .executeTakeFirstOrThrow();
}

export interface ExportChanges {
  syncType?: SyncType;
  status?: ExportStatus;
  nextRunAt?: Date | null;
  listName?: string;
  listSize?: number;
  keptCount?: number;
}

export async function updateExport(db: Db, exportId: number, changes: ExportChanges): Promise<ExportRow> {
  return db
    .updateTable('exports')
    .set({
      sync_type: changes.syncType,
      status: changes.status,
      next_run_at: changes.nextRunAt,
      list_name: changes.listName,
      list_size: changes.listSize,
      kept_count: changes.keptCount,
    })
    .where('id', '=', exportId)
    .returningAll()
    .executeTakeFirstOrThrow();
}

export async function findExportOf(
  db: Db,
  cohortId: string,
  integrationId: string,
): Promise<ExportRow | undefined> {
  return db
    .selectFrom('exports')
    .selectAll()
    .where('cohort_id', '=', cohortId)
    .where('integration_id', '=', integrationId)
    .executeTakeFirst();
}

/** An export of the integration, other than this one, that goes by this list name. */
export async function findExportByListName(
  db: Db,
  integrationId: string,
  exportId: number | undefined,
  listName: string,
): Promise<{ cohortName: string } | undefined> {
  return db
    .selectFrom('exports')
    .innerJoin('cohorts', 'cohorts.id', 'exports.cohort_id')
    .select('cohorts.name as cohortName')
    .where('exports.integration_id', '=', integrationId)
    .$if(exportId !== undefined, (query) => query.where('exports.id', '!=', exportId!))
    .where('exports.list_name', '=', listName)
    .executeTakeFirst();
}

export async function requestFollowUp(db: Db, exportId: number): Promise<void> {
  await db.updateTable('exports').set({ follow_up_requested: true }).where('id', '=', exportId).execute();
}

/** The exports of a disconnected integration stop; completed ones stay completed. */
export async function stopExports(db: Db, integrationId: string): Promise<number[]> {
  const rows = await db
    .updateTable('exports')
    .set({
      status: sql`case when status = 'COMPLETED' then status else 'STOPPED' end`,
      next_run_at: null,
      follow_up_requested: false,
    })
    .where('integration_id', '=', integrationId)
    .returning('id')
    .execute();
  return rows.map((row) => row.id);
}
