import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ExportRow } from '../tables.ts';
import type { ExportStatus, Provider, SyncType } from '../values.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

export async function findExportsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly number[],
): Promise<ExportRow[]> {
  return inProject(db, projectId).exports().selectAll().where('id', 'in', ids).execute();
}

/** The exports of cohorts to one provider. */
export async function findExportsByCohorts(
  { db, projectId }: ProjectScope,
  provider: Provider,
  cohortIds: readonly string[],
): Promise<ExportRow[]> {
  return inProject(db, projectId)
    .exports()
    .innerJoin('integrations', 'integrations.id', 'exports.integration_id')
    .selectAll('exports')
    .where('integrations.provider', '=', provider)
    .where('exports.cohort_id', 'in', cohortIds)
    .execute();
}

export interface ExportFilter {
  syncType?: readonly SyncType[] | undefined;
  status?: readonly ExportStatus[] | undefined;
  integrationId?: string | undefined;
}

/** Newest first. */
export async function listExports(
  scope: ProjectScope,
  filter: ExportFilter,
  page: { limit: number; after: number | undefined },
): Promise<ExportRow[]> {
  return filtered(scope, filter)
    .selectAll()
    .$if(page.after !== undefined, (query) => query.where('id', '<', page.after!))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export async function countExports(scope: ProjectScope, filter: ExportFilter): Promise<number> {
  const { count } = await filtered(scope, filter)
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

function filtered({ db, projectId }: ProjectScope, { syncType, status, integrationId }: ExportFilter) {
  return inProject(db, projectId)
    .exports()
    .$if(syncType !== undefined, (query) => query.where(isAnyOf('sync_type', syncType!)))
    .$if(status !== undefined, (query) => query.where(isAnyOf('status', status!)))
    .$if(integrationId !== undefined, (query) => query.where('integration_id', '=', integrationId!));
}

/** The export of a cohort, if it has one. */
export async function findExportIdOfCohort(db: Db, cohortId: string): Promise<number | undefined> {
  const row = await db
    .selectFrom('exports')
    .select('id')
    .where('cohort_id', '=', cohortId)
    .executeTakeFirst();
  return row?.id;
}
