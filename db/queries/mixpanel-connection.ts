import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { IdMerge, MixpanelConnectionRow, MixpanelRegion } from '../tables.ts';

export interface NewMixpanelConnection {
  projectId: string;
  region: MixpanelRegion;
  mixpanelProjectId: string;
  idMerge: IdMerge;
  username: string;
  /** Encrypted. */
  secret: string;
  now: Date;
}

/** The project's one connection, new or replaced. */
export async function upsertMixpanelConnection(
  db: Db,
  connection: NewMixpanelConnection,
): Promise<MixpanelConnectionRow> {
  const values = {
    region: connection.region,
    mixpanel_project_id: connection.mixpanelProjectId,
    id_merge: connection.idMerge,
    service_account_username: connection.username,
    service_account_secret: connection.secret,
    status: 'CONNECTED' as const,
    attention: null,
    connected_at: connection.now,
    next_refresh_at: connection.now,
  };
  return db
    .insertInto('mixpanel_connections')
    .values({ project_id: connection.projectId, ...values })
    .onConflict((conflict) => conflict.column('project_id').doUpdateSet(values))
    .returningAll()
    .executeTakeFirstOrThrow();
}

/** False when there was none. */
export async function deleteMixpanelConnection(db: Db, projectId: string): Promise<boolean> {
  const { numDeletedRows } = await db
    .deleteFrom('mixpanel_connections')
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return numDeletedRows > 0n;
}

/** Mixpanel refused the service account or the plan: shown until the next good read. */
export async function setMixpanelAttention(db: Db, projectId: string, attention: string): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ status: 'NEEDS_ATTENTION', attention })
    .where('project_id', '=', projectId)
    .execute();
}

export async function clearMixpanelAttention(db: Db, connectionId: string): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ status: 'CONNECTED', attention: null })
    .where('id', '=', connectionId)
    .where('status', '=', 'NEEDS_ATTENTION')
    .execute();
}

export async function setCohortsRefreshed(
  db: Db,
  connectionId: string,
  at: Date,
  nextAt: Date,
): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ cohorts_refreshed_at: at, next_refresh_at: nextAt, status: 'CONNECTED', attention: null })
    .where('id', '=', connectionId)
    .execute();
}

/** Connections whose cohort list is due to be read again; each is given to one caller only, and due again later. */
export async function takeDueConnections(db: Db, now: Date, nextAt: Date): Promise<MixpanelConnectionRow[]> {
  return db
    .updateTable('mixpanel_connections')
    .set({ next_refresh_at: nextAt })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('mixpanel_connections')
        .select('id')
        .where('next_refresh_at', '<=', now)
        .limit(20)
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()
    .execute();
}

const HOUR_MS = 3_600_000;

/** Counted queries against Mixpanel within the hour before now. */
export async function countQueriesLastHour(
  db: Db,
  connection: Pick<MixpanelConnectionRow, 'region' | 'mixpanel_project_id'>,
  now: Date,
): Promise<number> {
  const { queries } = await db
    .selectFrom('mixpanel_queries')
    .select(sql<number>`count(*)::int`.as('queries'))
    .where('region', '=', connection.region)
    .where('mixpanel_project_id', '=', connection.mixpanel_project_id)
    .where('at', '>', new Date(now.getTime() - HOUR_MS))
    .executeTakeFirstOrThrow();
  return queries;
}

/**
 * Takes one query out of the hour's budget, which all processes share. perHour 0: there is no budget, but the query
 * is counted all the same. Not granted: how long until the oldest query of the hour falls out of it.
 */
export async function reserveQuery(
  db: Db,
  connection: Pick<MixpanelConnectionRow, 'region' | 'mixpanel_project_id'>,
  budget: { now: Date; perHour: number },
): Promise<{ granted: true } | { granted: false; retryAfterMs: number }> {
  const { region, mixpanel_project_id } = connection;
  const hourAgo = new Date(budget.now.getTime() - HOUR_MS);
  return await db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtextextended(${`mixpanel:${region}:${mixpanel_project_id}`}, 0))`.execute(
      trx,
    );
    await trx
      .deleteFrom('mixpanel_queries')
      .where('region', '=', region)
      .where('mixpanel_project_id', '=', mixpanel_project_id)
      .where('at', '<=', hourAgo)
      .execute();
    const used = await trx
      .selectFrom('mixpanel_queries')
      .select('at')
      .where('region', '=', region)
      .where('mixpanel_project_id', '=', mixpanel_project_id)
      .orderBy('at')
      .execute();
    if (budget.perHour > 0 && used.length >= budget.perHour) {
      // Room comes when so many have fallen out of the hour that one more fits.
      const leaving = used[used.length - budget.perHour]!;
      return {
        granted: false as const,
        retryAfterMs: Math.max(1000, leaving.at.getTime() - hourAgo.getTime()),
      };
    }
    await trx
      .insertInto('mixpanel_queries')
      .values({ region, mixpanel_project_id, at: budget.now })
      .execute();
    return { granted: true as const };
  });
}
