import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ApiTokenRow, ProjectRow } from '../tables.ts';
import { inProject, type ProjectScope } from './scope.ts';

export interface TokenWithProject {
  token: ApiTokenRow;
  project: Pick<ProjectRow, 'id' | 'name' | 'is_first'>;
}

/** Who calls: a token that is neither revoked nor expired, by the SHA-256 of its secret. */
export async function findValidToken(
  db: Db,
  secretHash: Buffer,
  now: Date,
): Promise<TokenWithProject | undefined> {
  const row = await db
    .selectFrom('api_tokens')
    .innerJoin('projects', 'projects.id', 'api_tokens.project_id')
    .selectAll('api_tokens')
    .select(['projects.name as project_name', 'projects.is_first'])
    .where('secret_hash', '=', secretHash)
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .executeTakeFirst();
  if (!row) return undefined;
  const { project_name, is_first, ...token } = row;
  return { token, project: { id: row.project_id, name: project_name, is_first } };
}

/** Written at most once a minute for a token. */
export async function touchToken(db: Db, tokenId: string, now: Date): Promise<void> {
  await db
    .updateTable('api_tokens')
    .set({ last_used_at: now })
    .where('id', '=', tokenId)
    .where((eb) =>
      eb.or([eb('last_used_at', 'is', null), eb('last_used_at', '<=', new Date(now.getTime() - 60_000))]),
    )
    .execute();
}

export async function findTokensByIds(
  { db, projectId }: ProjectScope,
  ids: readonly string[],
): Promise<ApiTokenRow[]> {
  return inProject(db, projectId).apiTokens().selectAll().where('id', 'in', ids).execute();
}

/** Newest first, after the token with the id `after`. */
export async function listTokens(
  { db, projectId }: ProjectScope,
  page: { limit: number; after: string | undefined },
): Promise<ApiTokenRow[]> {
  return inProject(db, projectId)
    .apiTokens()
    .selectAll()
    .$if(page.after !== undefined, (query) => query.where('id', '<', page.after!))
    .orderBy('id', 'desc')
    .limit(page.limit)
    .execute();
}

export async function countTokens({ db, projectId }: ProjectScope): Promise<number> {
  const { count } = await inProject(db, projectId)
    .apiTokens()
    .select(sql<number>`count(*)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** OWNER tokens that still work, locked, so that two revocations cannot both leave the other's as the last. */
export async function lockValidOwnerTokens({ db, projectId }: ProjectScope, now: Date): Promise<string[]> {
  const rows = await inProject(db, projectId)
    .apiTokens()
    .select('id')
    .where('role', '=', 'OWNER')
    .where('revoked_at', 'is', null)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .orderBy('id')
    .forUpdate()
    .execute();
  return rows.map((row) => row.id);
}

/** Revoked already: it stays revoked as of then. */
export async function revokeToken(db: Db, tokenId: string, now: Date): Promise<ApiTokenRow> {
  return db
    .updateTable('api_tokens')
    .set({ revoked_at: sql<Date>`coalesce(revoked_at, ${now})` })
    .where('id', '=', tokenId)
    .returningAll()
    .executeTakeFirstOrThrow();
}
