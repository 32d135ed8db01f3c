import { sql } from 'kysely';
import { cohortColumns, rowAt } from '../columns.ts';
import { hotStatement } from '../hot-statement.ts';
import type { CohortRow } from '../tables.ts';
import type { CohortFilter } from './card.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

const byIds = hotStatement<{ projectId: string; ids: readonly string[] }>('cohorts_by_id');

export async function findCohortsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<CohortRow[]> {
  const rows = await byIds.run(
    db,
    '',
    (compiler, slot) =>
      inProject(compiler, slot('projectId'))
        .cohorts()
        .select([...cohortColumns.all.names])
        .where('id', '=', sql<string>`any(${slot('ids')}::bigint[])`),
    { projectId, ids },
  );
  return rows.map((values) => rowAt(cohortColumns.all, values, 0));
}

export async function countCohorts(scope: ProjectScope, filter: CohortFilter): Promise<number> {
  const { count } = await filtered(scope, filter)
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** The cohorts that Mixpanel lists now, the first by name. */
export async function listMixpanelCohorts(
  { db, projectId }: ProjectScope,
  { limit }: { limit: number },
): Promise<CohortRow[]> {
  return inProject(db, projectId)
    .cohorts()
    .selectAll()
    .where('source', '=', 'MIXPANEL')
    .where('present', '=', true)
    .orderBy(sql`name collate "C"`)
    .orderBy('id')
    .limit(limit)
    .execute();
}

function filtered({ db, projectId }: ProjectScope, { search, source }: CohortFilter) {
  return inProject(db, projectId)
    .cohorts()
    .$if(source !== undefined, (query) => query.where(isAnyOf('source', source!)))
    .$if(search !== undefined && search !== '', (query) =>
      query.where('name', 'ilike', `%${search!.replace(/[\\%_]/g, '\\$&')}%`),
    );
}
