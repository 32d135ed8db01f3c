import type { Db } from '../../db/connect.ts';
import {
  findFirstProject,
  findProject,
  hasAnyToken,
  insertProject,
  insertToken,
  lockBootstrap,
} from '../../db/queries/project.ts';
import type { ApiTokenRow, ProjectRow } from '../../db/tables.ts';
import type { Context } from '../context.ts';
import { CohortSyncError } from '../errors.ts';
import { generateSecret, hashSecret } from './api-token.ts';

export function readProject({ viewer, sync }: Context): Promise<ProjectRow> {
  return findProject(sync.db, viewer.project.id);
}

/**
 * The first project and its OWNER token, when the database has none. Gives the secret when it was generated, to be
 * shown once. Any number of processes may call it at once.
 */
export async function ensureFirstProject(
  db: Db,
  options: { bootstrapToken: string | undefined; now: Date },
): Promise<string | undefined> {
  return await db.transaction().execute(async (trx) => {
    await lockBootstrap(trx);
    if (await hasAnyToken(trx)) return undefined;
    const project =
      (await findFirstProject(trx)) ??
      (await insertProject(trx, { name: 'Default project', isFirst: true, now: options.now }));
    const secret = options.bootstrapToken ?? generateSecret();
    await insertToken(trx, {
      projectId: project.id,
      name: 'Bootstrap token',
      role: 'OWNER',
      secretHash: hashSecret(secret),
      expiresAt: null,
      now: options.now,
    });
    return options.bootstrapToken === undefined ? secret : undefined;
  });
}

/** A further OWNER token of the first project. Gives its secret; undefined when there is no project yet. */
export async function replaceLostToken(db: Db, now: Date): Promise<string | undefined> {
  const project = await findFirstProject(db);
  if (!project) return undefined;
  const secret = generateSecret();
  await insertToken(db, {
    projectId: project.id,
    name: 'Made on the machine',
    role: 'OWNER',
    secretHash: hashSecret(secret),
    expiresAt: null,
    now,
  });
  return secret;
}

/** A further project with its first OWNER token, for OWNERs of the first project. */
export async function createProject(
  { viewer, sync }: Context,
  input: { name: string },
): Promise<{ project: ProjectRow; apiToken: ApiTokenRow; secret: string }> {
  if (!viewer.project.isFirst) {
    throw new CohortSyncError(
      'FORBIDDEN',
      'Only OWNERs of the first project of a deployment can make projects.',
    );
  }
  const now = sync.clock.now();
  const secret = generateSecret();
  return await sync.db.transaction().execute(async (trx) => {
    const project = await insertProject(trx, { name: input.name, isFirst: false, now });
    const apiToken = await insertToken(trx, {
      projectId: project.id,
      name: 'First token',
      role: 'OWNER',
      secretHash: hashSecret(secret),
      expiresAt: null,
      now,
    });
    return { project, apiToken, secret };
  });
}
