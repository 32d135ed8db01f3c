import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ensureEndpoint, findEndpoint, replaceEndpoint } from '../../db/queries/webhook-endpoint.ts';
import type { WebhookEndpointRow } from '../../db/tables.ts';
import type { Partner } from '../../db/values.ts';
import type { SyncDeps } from './deps.ts';

/** Where a partner is to call us, and with which Basic credentials. */
export interface WebhookEndpoint {
  key: string;
  username: string;
  password: string;
  lastReceivedAt: Date | null;
}

/** Undefined as long as the project has none. */
export async function readEndpoint(
  { db, secrets }: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<WebhookEndpoint | undefined> {
  const row = await findEndpoint(db, projectId, partner);
  return row && toEndpoint(row, secrets.decrypt(row.password));
}

/** The one that the project has stays; otherwise it gets one. */
export async function giveEndpoint(
  { db, secrets }: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<void> {
  const { password, ...made } = makeEndpoint();
  await ensureEndpoint(db, { projectId, partner, ...made, password: secrets.encrypt(password) });
}

/** Another address and other credentials; the ones before are no longer known. */
export async function newEndpoint(
  { db, secrets }: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<WebhookEndpoint> {
  const { password, ...made } = makeEndpoint();
  const row = await replaceEndpoint(db, {
    projectId,
    partner,
    ...made,
    password: secrets.encrypt(password),
  });
  return toEndpoint(row, password);
}

/** Whether Authorization has these Basic credentials. Takes as long whatever it holds. */
export function hasCredentials(
  authorization: string | undefined,
  { username, password }: { username: string; password: string },
): boolean {
  const [, given = ''] = /^Basic +([A-Za-z0-9+/=_-]*) *$/i.exec(authorization ?? '') ?? [];
  const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(
    digest(Buffer.from(given, 'base64')),
    digest(Buffer.from(`${username}:${password}`)),
  );
}

function makeEndpoint() {
  return {
    key: randomBytes(24).toString('base64url'),
    username: 'mixpanel',
    password: randomBytes(24).toString('base64url'),
  };
}

function toEndpoint(row: WebhookEndpointRow, password: string): WebhookEndpoint {
  return { key: row.key, username: row.username, password, lastReceivedAt: row.last_received_at };
}
