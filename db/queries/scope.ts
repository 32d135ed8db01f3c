import { type Expression, type RawBuilder, sql } from 'kysely';
import type { Db } from '../connect.ts';

/**
 * The one place where a project's rows are told from another's: whatever is looked up or listed for a caller begins
 * here, with the project of the caller's token.
 */
export function inProject(db: Db, projectId: string | Expression<string>) {
  return {
    apiTokens: () => db.selectFrom('api_tokens').where('api_tokens.project_id', '=', projectId),
    mixpanelConnections: () =>
      db.selectFrom('mixpanel_connections').where('mixpanel_connections.project_id', '=', projectId),
    integrations: () => db.selectFrom('integrations').where('integrations.project_id', '=', projectId),
    cohorts: () => db.selectFrom('cohorts').where('cohorts.project_id', '=', projectId),
    exports: () => db.selectFrom('exports').where('exports.project_id', '=', projectId),
    syncRuns: () => db.selectFrom('sync_runs').where('sync_runs.project_id', '=', projectId),
  };
}

/** For filters by a list of values: with an empty one, nothing matches. */
export function isAnyOf(
  column: string,
  values: readonly string[] | Expression<readonly string[]>,
): RawBuilder<boolean> {
  const array = Array.isArray(values) ? [...values] : values;
  return sql<boolean>`${sql.ref(column)} = any(${array}::text[])`;
}

/** Rows of one project, as functions of db/queries take it. */
export interface ProjectScope {
  db: Db;
  projectId: string;
}
