import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ExportRow } from '../tables.ts';
import type { MixpanelProject } from './mixpanel-line.ts';

export interface DueExport extends Pick<ExportRow, 'id' | 'project_id' | 'created_at'> {
  /** Where its cohort is read; undefined for one that costs no query. */
  mixpanel: MixpanelProject | undefined;
}

/**
 * Dynamic exports whose time has come as far as they know themselves, and that of the next turn at their Mixpanel project,
 * if they take turns there. The longest due come first.
 */
export async function listDueExports(db: Db, now: Date): Promise<DueExport[]> {
  const rows = await runningExports(db)
    .leftJoin('mixpanel_budgets', (join) =>
      join
        .onRef('mixpanel_budgets.region', '=', 'mixpanel_connections.region')
        .onRef('mixpanel_budgets.mixpanel_project_id', '=', 'mixpanel_connections.mixpanel_project_id'),
    )
    .select([
      'exports.id',
      'exports.project_id',
      'exports.created_at',
      'cohorts.source',
      'mixpanel_connections.region',
      'mixpanel_connections.mixpanel_project_id',
    ])
    .where('exports.next_run_at', '<=', now)
    .where((eb) =>
      eb.or([
        eb('cohorts.source', '!=', 'MIXPANEL'),
        eb('next_scheduled_at', 'is', null),
        eb('next_scheduled_at', '<=', now),
      ]),
    )
    .orderBy('exports.next_run_at')
    .execute();
  return rows.map(({ id, project_id, created_at, source, region, mixpanel_project_id }) => ({
    id,
    project_id,
    created_at,
    mixpanel:
      source === 'MIXPANEL' ? { region: region!, mixpanel_project_id: mixpanel_project_id! } : undefined,
  }));
}

/** Those of the exports that are still due, locked for the caller; what another process is dealing with is left out. */
export async function lockDueExports(db: Db, ids: number[], now: Date): Promise<Set<number>> {
  if (ids.length === 0) return new Set();
  const rows = await runningExports(db)
    .select('exports.id')
    .where('exports.id', 'in', ids)
    .where('exports.next_run_at', '<=', now)
    .forUpdate('exports')
    .skipLocked()
    .execute();
  return new Set(rows.map((row) => row.id));
}

/** Dynamic exports that run by themselves. Held back while their partners are not connected. */
export function runningExports(db: Db) {
  return db
    .selectFrom('exports')
    .innerJoin('integrations', 'integrations.id', 'exports.integration_id')
    .innerJoin('cohorts', 'cohorts.id', 'exports.cohort_id')
    .leftJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'exports.project_id')
    .where('exports.status', '=', 'ACTIVE')
    .where('exports.sync_type', '=', 'DYNAMIC')
    .where('integrations.status', '=', 'CONNECTED')
    .where((eb) => eb.or([eb('cohorts.source', '=', 'FILE'), eb('mixpanel_connections.id', 'is not', null)]));
}

/** After this run none of the Mixpanel project's exports is due before. */
export async function setNextScheduled(db: Db, project: MixpanelProject, at: Date): Promise<void> {
  const { region, mixpanel_project_id } = project;
  await db
    .insertInto('mixpanel_budgets')
    .values({ region, mixpanel_project_id, next_scheduled_at: at })
    .onConflict((conflict) =>
      conflict.columns(['region', 'mixpanel_project_id']).doUpdateSet({
        next_scheduled_at: sql<Date>`greatest(mixpanel_budgets.next_scheduled_at, excluded.next_scheduled_at)`,
      }),
    )
    .execute();
}
