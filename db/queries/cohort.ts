import { sql } from 'kysely';
import type { CohortRow } from '../tables.ts';
import type { CohortSource } from '../values.ts';
import { inProject, isAnyOf, type ProjectScope } from './scope.ts';

export async function findCohortsByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<CohortRow[]> {
  return inProject(db, projectId).cohorts().selectAll().where('id', 'in', ids).execute();
}

export interface CohortFilter {
  /** Part of the name, whatever its case. */
  search: string | undefined;
  source: readonly CohortSource[] | undefined;
}

/** By name (code points), then id; after the given name and id. */
export async function listCohorts(
  scope: ProjectScope,
  filter: CohortFilter,
  page: { limit: number; after: { name: string; id: string } | undefined },
): Promise<CohortRow[]> {
  return filtered(scope, filter)
    .selectAll()
    .$if(page.after !== undefined, (query) =>
      query.where(
        sql<boolean>`(name collate "C", id) > (${page.after!.name} collate "C", ${page.after!.id}::bigint)`,
      ),
    )
    .orderBy(sql`name collate "C"`)
    .orderBy('id')
    .limit(page.limit)
    .execute();
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
