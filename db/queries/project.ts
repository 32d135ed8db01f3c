import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ApiTokenRow, ProjectRow } from '../tables.ts';
import type { Role } from '../values.ts';

export async function findProject(db: Db, projectId: string): Promise<ProjectRow> {
  return db.selectFrom('projects').selectAll().where('id', '=', projectId).executeTakeFirstOrThrow();
}

/** A project, with a row for every provider that the service knows. */
export async function insertProject(
  db: Db,
  project: { name: string; isFirst: boolean; now: Date },
): Promise<ProjectRow> {
  const row = await db
    .insertInto('projects')
    .values({ name: project.name, is_first: project.isFirst, created_at: project.now })
    .returningAll()
    .executeTakeFirstOrThrow();
  await db.insertInto('integrations').values({ project_id: row.id, provider: 'ITERABLE' }).execute();
  return row;
}

/** One process at a time may look whether there is a project, and make the first one. */
export async function lockBootstrap(db: Db): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('bootstrap', 0))`.execute(db);
}

export async function findFirstProject(db: Db): Promise<ProjectRow | undefined> {
  return db.selectFrom('projects').selectAll().where('is_first', '=', true).executeTakeFirst();
}

export async function hasAnyToken(db: Db): Promise<boolean> {
  return (await db.selectFrom('api_tokens').select('id').limit(1).executeTakeFirst()) !== undefined;
}

export interface NewToken {
  projectId: string;
  name: string;
  role: Role;
  secretHash: Buffer;
  expiresAt: Date | null;
  now: Date;
}

export async function insertToken(db: Db, token: NewToken): Promise<ApiTokenRow> {
  return db
    .insertInto('api_tokens')
    .values({
      project_id: token.projectId,
      name: token.name,
      role: token.role,
      secret_hash: token.secretHash,
      created_at: token.now,
      expires_at: token.expiresAt,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
}
