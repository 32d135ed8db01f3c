import { sql } from 'kysely';
import { type Columns, rowAt, runColumns } from '../columns.ts';
import { hotStatement } from '../hot-statement.ts';
import type { SyncRunRow } from '../tables.ts';
import type { SyncRunStatus } from '../values.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

const byIds = hotStatement<{ projectId: string; ids: readonly string[] }>('runs_by_id', {
  isShared: true,
});

/** Rows of it hold these columns; whole ones unless given. */
export async function findRunsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
  columns: Columns<SyncRunRow> = runColumns.all,
): Promise<SyncRunRow[]> {
  const rows = await byIds.run(
    db,
    columns.key,
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .syncRuns()
        .select([...columns.names])
        .where('id', '=', sql<string>`any(${slot('ids')}::bigint[])`),
    { projectId, ids },
  );
  return rows.map((values) => rowAt(columns, values, 0));
}

export interface RunFilter {
  exportId?: number | undefined;
  status?: readonly SyncRunStatus[] | undefined;
}

export interface RunPage {
  limit: number;
  after: string | undefined;
}

interface RunPageValues {
  projectId: string;
  exportIds: readonly number[];
  status: readonly SyncRunStatus[];
  after: string;
  limit: number;
}

const page = hotStatement<RunPageValues>('run_page');

/** Newest first. */
export async function listRuns(
  scope: ProjectScope,
  { exportId, ...filter }: RunFilter,
  { limit, after }: RunPage,
  columns: Columns<SyncRunRow> = runColumns.all,
): Promise<SyncRunRow[]> {
  if (exportId !== undefined)
    return await listRunsOfExports(scope, [exportId], filter, { limit, after }, columns);
  const rows = await page.run(
    scope.db,
    [columns.key, filter.status && 'status', after && 'after'].join(),
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .syncRuns()
        .select([...columns.names])
        .$if(filter.status !== undefined, (query) => query.where(isAnyOf('status', slot('status'))))
        .$if(after !== undefined, (query) => query.where('id', '<', slot('after')))
        .orderBy('id', 'desc')
        .limit(slot('limit')),
    { projectId: scope.projectId, exportIds: [], status: filter.status ?? [], after: after ?? '0', limit },
  );
  return rows.map((values) => rowAt(columns, values, 0));
}

const pageOfExports = hotStatement<RunPageValues>('runs_of_exports');

/** The same page of each of these exports, in one statement. */
export async function listRunsOfExports(
  { db, projectId }: ProjectScope,
  exportIds: readonly number[],
  { status }: Pick<RunFilter, 'status'>,
  { limit, after }: RunPage,
  columns: Columns<SyncRunRow> = runColumns.all,
): Promise<SyncRunRow[]> {
  const rows = await pageOfExports.run(
    db,
    [columns.key, status && 'status', after && 'after'].join(),
    (compiler, slot) => {
      const exports = inProject(compiler, slot('projectId'))
        .exports()
        .select('id')
        .where('id', '=', sql<number>`any(${slot('exportIds')}::int[])`);
      const runs = compiler
        .selectFrom('sync_runs')
        .select([...columns.names])
        .where('export_id', '=', sql<number>`export.id`)
        .$if(status !== undefined, (query) => query.where(isAnyOf('status', slot('status'))))
        .$if(after !== undefined, (query) => query.where('id', '<', slot('after')))
        .orderBy('id', 'desc')
        .limit(slot('limit'));
      return sql`select ${sql.join(columns.names.map((name) => sql.ref(`run.${name}`)))}
        from (${exports}) as export cross join lateral (${runs}) as run
        order by run.export_id, run.id desc`;
    },
    { projectId, exportIds, status: status ?? [], after: after ?? '0', limit },
  );
  return rows.map((values) => rowAt(columns, values, 0));
}

/** The newest run of each of these exports. */
export function findLastRuns(scope: ProjectScope, exportIds: readonly number[]): Promise<SyncRunRow[]> {
  return listRunsOfExports(scope, exportIds, {}, { limit: 1, after: undefined });
}

/** Of the whole project. */
export async function countRuns({ db, projectId }: ProjectScope, { status }: RunFilter): Promise<number> {
  const { count } = await inProject(db, projectId)
    .syncRuns()
    .$if(status !== undefined, (query) => query.where(isAnyOf('status', status!)))
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

const countOfExports = hotStatement<Omit<RunPageValues, 'after' | 'limit'>>('run_counts');

/** How many runs each of these exports has; those without one are left out. */
export async function countRunsOfExports(
  { db, projectId }: ProjectScope,
  exportIds: readonly number[],
  { status }: Pick<RunFilter, 'status'>,
): Promise<Map<number, number>> {
  const rows = await countOfExports.run(
    db,
    status ? 'status' : '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .exports()
        .innerJoin('sync_runs', 'sync_runs.export_id', 'exports.id')
        .select(['exports.id', sql<number>`count(*)::int`.as('count')])
        .where('exports.id', '=', sql<number>`any(${slot('exportIds')}::int[])`)
        .$if(status !== undefined, (query) => query.where(isAnyOf('sync_runs.status', slot('status'))))
        .groupBy('exports.id'),
    { projectId, exportIds, status: status ?? [] },
  );
  return new Map(rows as [number, number][]);
}
