import { sql } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Db } from '../connect.ts';
import type { MixpanelRegion } from '../values.ts';
import { runningExports } from './due-export.ts';
import { inLine, type MixpanelProject } from './mixpanel-line.ts';

/** What decides when the exports of one Mixpanel project are due, if they take turns. */
export interface QueryState {
  /** Everything that is read from it again and again. */
  polled: { exportId: number; wishAt: Date; memberCount: number | null }[];
  /** When the queries of its runs within the last hour were sent, the oldest first. */
  sentAt: Date[];
  /** Runs that have not had their query yet. */
  inLine: number;
  /** Mixpanel itself says that there is none before. */
  heldUntil: Date | null;
  nextScheduledAt: Date | null;
}

const HOUR_MS = 3_600_000;

/** Of this Mixpanel project, or of the one that a project of ours is connected to. Undefined: it is not connected. */
export async function readQueryState(
  db: Db,
  of: MixpanelProject | { projectId: string },
  now: Date,
): Promise<QueryState | undefined> {
  // One statement, because it is asked with every page of exports.
  const same = {
    region: sql<MixpanelRegion>`connected.region`,
    mixpanel_project_id: sql<string>`connected.mixpanel_project_id`,
  };
  const row = await db
    .selectFrom('mixpanel_connections as connected')
    .leftJoin('mixpanel_budgets as budget', (join) =>
      join
        .onRef('budget.region', '=', 'connected.region')
        .onRef('budget.mixpanel_project_id', '=', 'connected.mixpanel_project_id'),
    )
    .select((eb) => [
      'budget.held_until as heldUntil',
      'budget.next_scheduled_at as nextScheduledAt',
      jsonArrayFrom(
        runningExports(db)
          .select(['exports.id as exportId', 'exports.next_run_at as wishAt'])
          .select('cohorts.member_count as memberCount')
          .where('exports.next_run_at', 'is not', null)
          .where('cohorts.source', '=', 'MIXPANEL')
          .where('mixpanel_connections.region', '=', same.region)
          .where('mixpanel_connections.mixpanel_project_id', '=', same.mixpanel_project_id),
      ).as('polled'),
      eb
        .selectFrom('mixpanel_queries')
        .select(sql<Date[]>`coalesce(array_agg(at order by at), '{}')`.as('sentAt'))
        .where('region', '=', same.region)
        .where('mixpanel_project_id', '=', same.mixpanel_project_id)
        .where('kind', '=', 'MEMBERS')
        .where('at', '>', new Date(now.getTime() - HOUR_MS))
        .$asScalar()
        .as('sentAt'),
      inLine(db, same).select(sql<number>`count(*)::int`.as('runs')).$asScalar().as('inLine'),
    ])
    .$call((query) =>
      'projectId' in of
        ? query.where('connected.project_id', '=', of.projectId)
        : query
            .where('connected.region', '=', of.region)
            .where('connected.mixpanel_project_id', '=', of.mixpanel_project_id),
    )
    .limit(1)
    .executeTakeFirst();
  if (!row) return undefined;
  const polled = row.polled.map((one) => ({ ...one, wishAt: new Date(one.wishAt!) }));
  return { ...row, polled, sentAt: row.sentAt ?? [], inLine: row.inLine ?? 0 };
}
