import { type Expression, sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { MixpanelConnectionRow, SyncRunRow } from '../tables.ts';
import type { MixpanelRegion } from '../values.ts';

/** What Mixpanel's limits are for: two connections to one project share them. */
export type MixpanelProject = Pick<MixpanelConnectionRow, 'region' | 'mixpanel_project_id'>;

/** Runs that have not had their query yet. Those that were cancelled have left the line without more ado. */
export async function countInLine(db: Db, project: MixpanelProject): Promise<number> {
  const { runs } = await inLine(db, project)
    .select(sql<number>`count(*)::int`.as('runs'))
    .executeTakeFirstOrThrow();
  return runs;
}

/** Those of them that were queued before this run. */
export async function countAhead(db: Db, project: MixpanelProject, runId: string): Promise<number> {
  const { runs } = await inLine(db, project)
    .innerJoin('sync_runs as mine', (join) => join.on('mine.id', '=', runId))
    .select(sql<number>`count(*)::int`.as('runs'))
    .where(sql<boolean>`(sync_runs.queued_at, sync_runs.id) < (mine.queued_at, mine.id)`)
    .executeTakeFirstOrThrow();
  return runs;
}

/** The ids of the first ones; of all for undefined. */
export async function listFirstInLine(
  db: Db,
  project: MixpanelProject,
  limit: number | undefined,
): Promise<string[]> {
  const runs = await inLine(db, project)
    .select('sync_runs.id')
    .orderBy('queued_at')
    .orderBy('sync_runs.id')
    .$if(limit !== undefined, (query) => query.limit(Math.max(0, limit!)))
    .execute();
  return runs.map((run) => run.id);
}

/** As a query that is not finished: by a project, or by expressions for one. */
export function inLine(db: Db, project: MixpanelProject | ProjectExpression) {
  return db
    .selectFrom('sync_runs')
    .innerJoin('exports', 'exports.id', 'sync_runs.export_id')
    .innerJoin('cohorts', 'cohorts.id', 'exports.cohort_id')
    .innerJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'sync_runs.project_id')
    .where('sync_runs.status', 'in', ['QUEUED', 'RUNNING'])
    .where('sync_runs.query_turn', '!=', 'TAKEN')
    .where('sync_runs.purpose', '=', 'SYNC')
    .where('cohorts.source', '=', 'MIXPANEL')
    .where('mixpanel_connections.region', '=', project.region)
    .where('mixpanel_connections.mixpanel_project_id', '=', project.mixpanel_project_id);
}

interface ProjectExpression {
  region: Expression<MixpanelRegion>;
  mixpanel_project_id: Expression<string>;
}

/** Where runs are parked; undefined stands for projects whose connection to Mixpanel is gone. */
export async function listParkedProjects(db: Db): Promise<(MixpanelProject | undefined)[]> {
  const rows = await parked(db)
    .select(['mixpanel_connections.region', 'mixpanel_connections.mixpanel_project_id'])
    .distinct()
    .execute();
  return rows.map(({ region, mixpanel_project_id }) =>
    region === null || mixpanel_project_id === null ? undefined : { region, mixpanel_project_id },
  );
}

/** Parked runs whose connection to Mixpanel is gone wait for nothing. As callParkedRuns. */
export async function callStrandedRuns(db: Db): Promise<CalledRun[]> {
  const stranded = await parked(db)
    .select('sync_runs.id')
    .where('mixpanel_connections.id', 'is', null)
    .execute();
  return await unparkRuns(
    db,
    stranded.map((run) => run.id),
  );
}

function parked(db: Db) {
  return db
    .selectFrom('sync_runs')
    .leftJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'sync_runs.project_id')
    .where('sync_runs.status', '=', 'QUEUED')
    .where('sync_runs.query_turn', '=', 'PARKED');
}

/** A run that is to have a job again. */
export type CalledRun = Pick<SyncRunRow, 'id' | 'project_id'>;

/** Those of the runs that are parked wait no longer; each is given to one caller only. */
export async function unparkRuns(db: Db, runIds: string[]): Promise<CalledRun[]> {
  if (runIds.length === 0) return [];
  return await db
    .updateTable('sync_runs')
    .set({ query_turn: 'WANTED' })
    .where('id', 'in', runIds)
    .where('status', '=', 'QUEUED')
    .where('query_turn', '=', 'PARKED')
    .returning(['id', 'project_id'])
    .execute();
}
