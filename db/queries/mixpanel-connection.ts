import type { Db } from '../connect.ts';
import type { MixpanelConnectionRow } from '../tables.ts';
import type { IdMerge, MixpanelRegion } from '../values.ts';

export interface NewMixpanelConnection {
  projectId: string;
  region: MixpanelRegion;
  mixpanelProjectId: string;
  workspaceId: string | null;
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
    workspace_id: connection.workspaceId,
    id_merge: connection.idMerge,
    service_account_username: connection.username,
    service_account_secret: connection.secret,
    status: 'CONNECTED' as const,
    attention: null,
    import_attention: null,
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

/** What was deleted; undefined when there was none. */
export async function deleteMixpanelConnection(
  db: Db,
  projectId: string,
): Promise<MixpanelConnectionRow | undefined> {
  return db
    .deleteFrom('mixpanel_connections')
    .where('project_id', '=', projectId)
    .returningAll()
    .executeTakeFirst();
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
  { at, nextAt, note }: { at: Date; nextAt: Date; note: string | null },
): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({
      cohorts_refreshed_at: at,
      next_refresh_at: nextAt,
      list_note: note,
      status: 'CONNECTED',
      attention: null,
    })
    .where('id', '=', connectionId)
    .execute();
}

/** Connections whose cohort list is due to be read again; each is given to one caller only, and due again later. */
export async function takeDueConnections(
  db: Db,
  { now, nextAt, limit }: { now: Date; nextAt: Date; limit: number },
): Promise<MixpanelConnectionRow[]> {
  return db
    .updateTable('mixpanel_connections')
    .set({ next_refresh_at: nextAt })
    .where('id', 'in', (eb) =>
      eb
        .selectFrom('mixpanel_connections')
        .select('id')
        .where('next_refresh_at', '<=', now)
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .returningAll()
    .execute();
}

/** Its cohort list is read again at this time, unless that is due earlier. */
export async function advanceRefresh(db: Db, connectionId: string, at: Date): Promise<void> {
  await db
    .updateTable('mixpanel_connections')
    .set({ next_refresh_at: at })
    .where('id', '=', connectionId)
    .where('next_refresh_at', '>', at)
    .execute();
}
