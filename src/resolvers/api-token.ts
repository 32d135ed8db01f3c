import { createHash, randomBytes } from 'node:crypto';
import {
  countTokens,
  findRevokedTokens,
  findValidToken,
  listTokens,
  lockValidOwnerTokens,
  revokeToken,
  touchToken,
} from '../../db/queries/api-token.ts';
import { insertToken } from '../../db/queries/project.ts';
import type { ApiTokenRow } from '../../db/tables.ts';
import type { Role } from '../../db/values.ts';
import type { Context, Viewer } from '../context.ts';
import { BadUserInputError, CohortSyncError, InvalidStateError, NotFoundError } from '../errors.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { type Connection, idKey, type PageArgs, pageOf } from './page.ts';

const RANKS: Record<Role, number> = { CONSUMER: 0, ANALYST: 1, ADMIN: 2, OWNER: 3 };

export function hasRole(viewer: Viewer, role: Role): boolean {
  return RANKS[viewer.role] >= RANKS[role];
}

/** Who a secret speaks for, by its hash; undefined for nobody. */
export async function findViewerBySecret(
  { db, clock }: Pick<SyncDeps, 'db' | 'clock'>,
  secretHash: Buffer,
): Promise<{ viewer: Viewer; expiresAt: Date | null; lastUsedAt: Date } | undefined> {
  const now = clock.now();
  const found = await findValidToken(db, secretHash, now);
  if (!found) return undefined;
  const { token, project } = found;
  const lastUsedAt =
    token.last_used_at === null || isStale(token.last_used_at, now) ? now : token.last_used_at;
  if (lastUsedAt === now) await touchToken(db, token.id, now);
  return {
    viewer: {
      tokenId: token.id,
      tokenName: token.name,
      role: token.role,
      project: { id: project.id, name: project.name, isFirst: project.is_first },
    },
    expiresAt: token.expires_at,
    lastUsedAt,
  };
}

/** Whether the use of a token is to be written down again. */
export function isStale(lastUsedAt: Date, now: Date): boolean {
  return now.getTime() - lastUsedAt.getTime() >= 60_000;
}

/** Closes what revoked tokens still have open, because nobody heard of the revocation. */
export async function closeRevoked(
  { db }: Pick<SyncDeps, 'db'>,
  sessions: { tokenIds(): string[]; closeToken(tokenId: string): void },
): Promise<void> {
  for (const tokenId of await findRevokedTokens(db, sessions.tokenIds())) sessions.closeToken(tokenId);
}

/** 256 random bits; the prefix lets scanners of leaked secrets find it. */
export function generateSecret(): string {
  return `cs_${randomBytes(32).toString('base64url')}`;
}

export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

export function listApiTokens({ viewer, sync }: Context, args: PageArgs): Promise<Connection<ApiTokenRow>> {
  const scope = { db: sync.db, projectId: viewer.project.id };
  return pageOf(args, { ...idKey, load: (page) => listTokens(scope, page), count: () => countTokens(scope) });
}

export interface CreateApiTokenInput {
  name: string;
  role: Role;
  expiresAt?: Date | null | undefined;
}

/** A token of at most the caller's own role. The secret is not kept. */
export async function createApiToken(
  { viewer, sync }: Context,
  input: CreateApiTokenInput,
): Promise<{ apiToken: ApiTokenRow; secret: string }> {
  if (!hasRole(viewer, input.role)) {
    throw new CohortSyncError(
      'FORBIDDEN',
      `A token of role ${viewer.role} cannot make one of role ${input.role}.`,
    );
  }
  const now = sync.clock.now();
  if (input.expiresAt && input.expiresAt <= now) {
    throw new BadUserInputError([{ path: ['input', 'expiresAt'], message: 'must be in the future.' }]);
  }
  const secret = generateSecret();
  const apiToken = await insertToken(sync.db, {
    projectId: viewer.project.id,
    name: input.name,
    role: input.role,
    secretHash: hashSecret(secret),
    expiresAt: input.expiresAt ?? null,
    now,
  });
  return { apiToken, secret };
}

/** From now on the token opens nothing, and what it had opened is closed. */
export async function revokeApiToken(
  { viewer, sync, load, forgetToken }: Context,
  tokenId: string,
): Promise<ApiTokenRow> {
  const token = await load.apiToken.load(tokenId);
  if (!token) throw new NotFoundError('API token');
  if (!hasRole(viewer, token.role)) {
    throw new CohortSyncError(
      'FORBIDDEN',
      `A token of role ${viewer.role} cannot revoke one of role ${token.role}.`,
    );
  }
  const now = sync.clock.now();
  const revoked = await sync.db.transaction().execute(async (trx) => {
    const owners = await lockValidOwnerTokens({ db: trx, projectId: viewer.project.id }, now);
    if (owners.length === 1 && owners[0] === tokenId) {
      throw new InvalidStateError(
        "This is the project's last OWNER token. Make another one before you revoke it, or nobody can manage the project.",
      );
    }
    return await revokeToken(trx, tokenId, now);
  });
  forgetToken(tokenId);
  return revoked;
}
