import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { ensureEndpoint, findEndpoint, upsertEndpoint } from '../../db/queries/webhook-endpoint.ts';
import type { Partner } from '../../db/values.ts';
import type { WebhookEndpointRow } from '../../db/webhook-tables.ts';
import type { SyncDeps } from './deps.ts';

/** Where a partner is to call us, and with which credentials. */
export interface WebhookEndpoint {
  partner: Partner;
  key: string;
  username: string;
  password: string;
  lastReceivedAt: Date | null;
}

/** The project's; made now, if it was connected by a version that made none. */
export async function openEndpoint(
  deps: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<WebhookEndpoint> {
  let row = await findEndpoint(deps.db, projectId, partner);
  if (!row) {
    await giveEndpoint(deps, projectId, partner);
    row = (await findEndpoint(deps.db, projectId, partner))!;
  }
  return toEndpoint(row, deps.secrets.decrypt(row.password));
}

/** The one that the project has stays; otherwise it gets one. */
export async function giveEndpoint(
  { db, secrets }: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<void> {
  const { password, ...made } = makeEndpoint(partner);
  await ensureEndpoint(db, { projectId, partner, ...made, password: secrets.encrypt(password) });
}

/** Another address and other credentials; the ones before are no longer known. */
export async function replaceEndpoint(
  { db, secrets }: Pick<SyncDeps, 'db' | 'secrets'>,
  projectId: string,
  partner: Partner,
): Promise<void> {
  const { password, ...made } = makeEndpoint(partner);
  await upsertEndpoint(db, { projectId, partner, ...made, password: secrets.encrypt(password) });
}

interface Credentials {
  username: string;
  password: string;
}

/** Whether Authorization has these Basic credentials. Takes as long whatever it holds. */
export function hasCredentials(
  authorization: string | undefined,
  { username, password }: Credentials,
): boolean {
  const [, given = ''] = /^Basic +([A-Za-z0-9+/=_-]*) *$/i.exec(authorization ?? '') ?? [];
  return isSame(Buffer.from(given, 'base64'), `${username}:${password}`);
}

/** Before the token, in Authorization. Iterable's Basic has been seen without it. */
const SCHEME = /^(?:Basic|OAuth2|Bearer) +/i;
/**
 * Whether a call bears the password as one of the forms that Iterable can be set to: a token in Authorization, after
 * Basic, OAuth2, Bearer or nothing; Basic credentials; a custom header of any name. Takes as long whatever the values hold.
 */
export function hasToken(
  headers: Readonly<Record<string, string[] | undefined>>,
  { username, password }: Credentials,
): boolean {
  const tokens = [password, Buffer.from(`${username}:${password}`).toString('base64')];
  return Object.values(headers)
    .flatMap((values) => values ?? [])
    .map((value) => value.replace(SCHEME, '').trim())
    .some((given) =>
      // The length of a token is no secret.
      tokens.some((token) => given.length === token.length && isSame(Buffer.from(given), token)),
    );
}

function isSame(given: Buffer, right: string): boolean {
  const digest = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
  return timingSafeEqual(digest(given), digest(right));
}

function makeEndpoint(partner: Partner) {
  return {
    key: randomBytes(24).toString('base64url'),
    username: partner.toLowerCase(),
    password: randomBytes(24).toString('base64url'),
  };
}

function toEndpoint(row: WebhookEndpointRow, password: string): WebhookEndpoint {
  const { partner, key, username, last_received_at: lastReceivedAt } = row;
  return { partner, key, username, password, lastReceivedAt };
}
