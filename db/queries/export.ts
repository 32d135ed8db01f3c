import { sql } from 'kysely';
import { exportColumns, rowAt } from '../columns.ts';
import type { Db } from '../connect.ts';
import { hotStatement } from '../hot-statement.ts';
import type { ExportRow } from '../tables.ts';
import type { Provider } from '../values.ts';
import type { ExportFilter } from './card.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

const { all } = exportColumns;
const byIds = hotStatement<{ projectId: string; ids: readonly number[] }>('exports_by_id');

export async function findExportsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly number[],
): Promise<ExportRow[]> {
  const rows = await byIds.run(
    db,
    '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .exports()
        .select([...all.names])
        .where('id', '=', sql<number>`any(${slot('ids')}::int[])`),
    { projectId, ids },
  );
  return rows.map((values) => rowAt(all, values, 0));
}

const byCohorts = hotStatement<{ projectId: string; provider: Provider; ids: readonly string[] }>(
  'exports_by_cohort',
);

/** The exports of cohorts to one provider. */
export async function findExportsByCohorts(
  { db, projectId }: ProjectScope,
  provider: Provider,
  ids: readonly string[],
): Promise<ExportRow[]> {
  const rows = await byCohorts.run(
    db,
    '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .exports()
        .innerJoin('integrations', 'integrations.id', 'exports.integration_id')
        .select(all.names.map((name) => `exports.${name}` as const))
        .where('integrations.provider', '=', slot('provider'))
        .where('exports.cohort_id', '=', sql<string>`any(${slot('ids')}::bigint[])`),
    { projectId, provider, ids },
  );
  return rows.map((values) => rowAt(all, values, 0));
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
