import type { Db } from '../connect.ts';
import type { Partner } from '../values.ts';
import type { WebhookEndpointRow } from '../webhook-tables.ts';

export interface NewEndpoint {
  projectId: string;
  partner: Partner;
  key: string;
  username: string;
  /** Encrypted. */
  password: string;
}

export function findEndpoint(
  db: Db,
  projectId: string,
  partner: Partner,
): Promise<WebhookEndpointRow | undefined> {
  return db
    .selectFrom('webhook_endpoints')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('partner', '=', partner)
    .executeTakeFirst();
}

/** By the key in the address; with the project's connection to Mixpanel, if there is one. */
export async function findEndpointByKey(
  db: Db,
  partner: Partner,
  key: string,
): Promise<{ endpoint: WebhookEndpointRow; mixpanelProjectId: string | null } | undefined> {
  const row = await db
    .selectFrom('webhook_endpoints')
    .leftJoin('mixpanel_connections', 'mixpanel_connections.project_id', 'webhook_endpoints.project_id')
    .selectAll('webhook_endpoints')
    .select('mixpanel_connections.mixpanel_project_id')
    .where('webhook_endpoints.partner', '=', partner)
    .where('webhook_endpoints.key', '=', key)
    .executeTakeFirst();
  if (!row) return undefined;
  const { mixpanel_project_id, ...endpoint } = row;
  return { endpoint, mixpanelProjectId: mixpanel_project_id };
}

/** Nothing happens when the project has one already. */
export async function ensureEndpoint(db: Db, endpoint: NewEndpoint): Promise<void> {
  await db
    .insertInto('webhook_endpoints')
    .values(toValues(endpoint))
    .onConflict((conflict) => conflict.columns(['project_id', 'partner']).doNothing())
    .execute();
}

/** The one before is no longer known. */
export async function upsertEndpoint(db: Db, endpoint: NewEndpoint): Promise<void> {
  const { key, username, password } = endpoint;
  await db
    .insertInto('webhook_endpoints')
    .values(toValues(endpoint))
    .onConflict((conflict) =>
      conflict.columns(['project_id', 'partner']).doUpdateSet({ key, username, password }),
    )
    .execute();
}

/** When something came is kept to the second: many calls come in one. */
export function isNotedLately(lastReceivedAt: Date | null, now: Date): boolean {
  return lastReceivedAt !== null && now.getTime() - lastReceivedAt.getTime() <= 1_000;
}

/** endpoint: as it was read for the call. */
export async function noteReceived(db: Db, endpoint: WebhookEndpointRow, at: Date): Promise<void> {
  const { id, last_received_at: last } = endpoint;
  if (isNotedLately(last, at)) return;
  const before = new Date(at.getTime() - 1_000);
  await db
    .updateTable('webhook_endpoints')
    .set({ last_received_at: at })
    .where('id', '=', id)
    .where((eb) => eb.or([eb('last_received_at', 'is', null), eb('last_received_at', '<', before)]))
    .execute();
}

function toValues({ projectId, ...values }: NewEndpoint) {
  return { project_id: projectId, ...values };
}
