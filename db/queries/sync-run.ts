import { sql } from 'kysely';
import type { SyncRunRow } from '../tables.ts';
import type { SyncRunStatus } from '../values.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

export async function findRunsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<SyncRunRow[]> {
  return inProject(db, projectId).syncRuns().selectAll().where('id', 'in', ids).execute();
}

/** The newest run of each of these exports. */
export async function findLastRuns(
  { db, projectId }: ProjectScope,
  exportIds: readonly number[],
): Promise<SyncRunRow[]> {
  return inProject(db, projectId)
    .syncRuns()
    .where('id', 'in', (eb) =>
      eb
        .selectFrom(
          sql<{ export_id: number }>`unnest(${[...exportIds]}::int[])`.as<'wanted'>(sql`wanted (export_id)`),
        )
        .innerJoinLateral(
          (lateral) =>
            lateral
              .selectFrom('sync_runs as run')
              .select('run.id')
              .whereRef('run.export_id', '=', 'wanted.export_id')
              .orderBy('run.id', 'desc')
              .limit(1)
              .as('newest'),
          (join) => join.onTrue(),
        )
        .select('newest.id'),
    )
    .selectAll()
    .execute();
}

export interface RunFilter {
  exportId?: number | undefined;
  status?: readonly SyncRunStatus[] | undefined;
}

/** Newest first. */
export async function listRuns(
  scope: ProjectScope,
  filter: RunFilter,
  page: { limit: number; after: string | undefined },
): Promise<SyncRunRow[]> {
  return filtered(scope, filter)
    .selectAll()
    .$if(page.after !== undefined, (query) => query.where('id', '<', page.after!))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export async function countRuns(scope: ProjectScope, filter: RunFilter): Promise<number> {
  const { count } = await filtered(scope, filter)
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

function filtered({ db, projectId }: ProjectScope, { exportId, status }: RunFilter) {
  return inProject(db, projectId)
    .syncRuns()
    .$if(exportId !== undefined, (query) => query.where('export_id', '=', exportId!))
    .$if(status !== undefined, (query) => query.where(isAnyOf('status', status!)));
}
