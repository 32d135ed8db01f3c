import type { Logger } from 'pino';
import { connectDatabase, type Db } from '../db/connect.ts';
import { explainConnectError } from '../db/connect-error.ts';
import { DataDirectoryError, explainFileError } from '../db/data-directory.ts';
import { startDatabaseClock } from '../db/database-clock.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../db/embedded-postgres.ts';
import { isMigrated, migrateToLatest } from '../db/migrate.ts';
import { ENGINE_LIMITS, GATEWAY_LIMITS, type SessionLimits, WEBHOOK_LIMITS } from '../db/session-limits.ts';
import { createSharedPool } from '../db/shared-pool.ts';
import { createStops, type Stops } from './app/stops.ts';
import type { Clock } from './clock.ts';
import type { GatewayDeps } from './context.ts';
import { generateKey, generatePassword, keepSecret } from './data-dir.ts';
import type { Env } from './env.ts';
import { StartError } from './errors.ts';
import { startCarrier } from './events/start-carrier.ts';
import { findViewerBySecret, hashSecret } from './resolvers/api-token.ts';
import { ensureFirstProject } from './resolvers/project.ts';
import { buildSchema } from './schema/schema.ts';
import { createSecrets, UnknownKeyError } from './secrets.ts';
import { readPersistedOperations } from './server/persisted-operations.ts';
import { removeAbandonedUploads } from './server/upload.ts';
import { createServer, type Server } from './server.ts';
import { startBoss } from './sync/boss.ts';
import type { SyncDeps } from './sync/deps.ts';
import { createIterableTurns } from './sync/iterable-turns.ts';
import { type Live, startLive } from './sync/live.ts';
import { createMixpanelSlots } from './sync/mixpanel-slots.ts';
import { rotateSecrets } from './sync/rotate-secrets.ts';
import { startScheduler } from './sync/scheduler.ts';
import { createSeats } from './sync/seats.ts';
import { startWorker } from './sync/worker.ts';

export interface App {
  /** Where the gateway listens; undefined in a process without one. */
  url: string | undefined;
  /** The secret of the first token, when this start generated it. */
  firstSecret: string | undefined;
  sync: SyncDeps;
  /** Stops taking work, lets running batches finish, closes everything, within ten seconds. Stopping twice is fine. */
  stop(): Promise<void>;
}

/**
 * Starts the parts of the service that env.roles names. What was started is stopped again when a later part fails, or when the
 * signal aborts meanwhile, whose reason it then throws.
 */
export async function startApp(options: {
  env: Env;
  logger: Logger;
  /** The database's, unless given. */
  clock?: Clock;
  onStatement?: (text: string) => void;
  signal?: AbortSignal;
}): Promise<App> {
  const { env, logger, signal } = options;
  const stops = createStops(logger);
  try {
    const databaseUrl = env.databaseUrl ?? (await openEmbedded(env, logger, stops));
    signal?.throwIfAborted();
    const open = (maxConnections: number, limits: SessionLimits) => {
      const database = connectDatabase({
        url: databaseUrl,
        maxConnections,
        limits,
        preparedStatements: env.preparedStatements,
        onIdleError: (error) => logger.warn({ err: error }, 'a database connection broke'),
        onStatement: options.onStatement,
      });
      stops.add('database', () => database.stop());
      return database;
    };
    const { db } = open(env.databasePool.engine, ENGINE_LIMITS);
    await migrate(databaseUrl, db).catch((error) => {
      throw explainDatabaseError(error, env, databaseUrl);
    });
    signal?.throwIfAborted();
    const clock = options.clock ?? (await openClock(db, logger, stops));
    const boss = await startBoss({ databaseUrl, logger, supervise: env.roles.has('worker') });
    stops.add('job queue', () => boss.stop());
    signal?.throwIfAborted();
    const keys = env.encryptionKeys ?? [
      Buffer.from(await keepSecret(env.dataDir, 'encryption-key', generateKey), 'base64'),
    ];
    const secrets = createSecrets(keys);
    const rotated = await rotateSecrets(db, secrets).catch((error) => {
      throw error instanceof UnknownKeyError ? new StartError(error.message, { cause: error }) : error;
    });
    if (rotated > 0) logger.info({ rotated }, 'stored secrets are now encrypted with the newest key');
    const mixpanelSlots = createMixpanelSlots(db);
    stops.add('Mixpanel slots', () => mixpanelSlots.stop());
    const sync: SyncDeps = {
      db,
      clock,
      env,
      secrets,
      jobs: boss.jobs,
      mixpanelSlots,
      iterableTurns: createIterableTurns({ db, limits: env.iterable, logger }),
      seats: createSeats(),
      logger,
    };

    let url: string | undefined;
    let server: Server | undefined;
    if (env.roles.has('gateway')) {
      const openShared = (connections: number, limits: SessionLimits) =>
        createSharedPool({ pool: open(connections, limits).pool, onStatement: options.onStatement });
      const pool = openShared(env.databasePool.gateway, GATEWAY_LIMITS);
      const gatewaySync: GatewayDeps = { ...sync, db: pool.viewFor({}), pool, engine: sync };
      const webhooks = openShared(env.databasePool.webhooks, WEBHOOK_LIMITS);
      const live: Live = startLive({ db: gatewaySync.db, databaseUrl, logger });
      stops.add('live', () => live.stop());
      const schema = buildSchema();
      server = createServer({
        env,
        schema,
        sync: gatewaySync,
        webhookSync: { ...sync, db: webhooks.viewFor({}) },
        live,
        persisted: await readPersistedOperations({ env, schema, logger }),
        isReady: () => isMigrated(gatewaySync.db),
      });
      const gateway = server;
      stops.add('gateway', async () => {
        gateway.drain();
        await Promise.all([gateway.stop(), live.stop()]);
      });
      url = await server.listen();
      await removeAbandonedUploads();
    }
    const atWork: { stop(): Promise<void> }[] = [];
    stops.add('worker and scheduler', () => Promise.all(atWork.map((part) => part.stop())));
    if (env.roles.has('worker')) {
      atWork.push(await startWorker(sync, boss.boss));
      atWork.push(startCarrier(sync));
    }
    if (env.roles.has('scheduler')) atWork.push(startScheduler(sync));
    // Last of all: a secret that is shown once must not be made by a start that fails, or is told to stop.
    signal?.throwIfAborted();
    const firstSecret = env.roles.has('gateway') ? await bootstrap(sync) : undefined;
    server?.open();
    return {
      url,
      firstSecret,
      sync,
      stop() {
        server?.drain();
        return stops.stopAll();
      },
    };
  } catch (error) {
    await stops.stopAll();
    throw error;
  }
}

/** On connections without limits: an index of a large table takes its time. */
async function migrate(databaseUrl: string, db: Db): Promise<void> {
  if (await isMigrated(db)) return;
  const database = connectDatabase({ url: databaseUrl, maxConnections: 2 });
  try {
    await migrateToLatest(database.db);
  } finally {
    await database.stop();
  }
}

async function openClock(db: Db, logger: Logger, stops: Stops): Promise<Clock> {
  const clock = await startDatabaseClock(db, (error) =>
    logger.warn({ err: error }, 'the database did not tell the time'),
  );
  stops.add('clock', async () => clock.stop());
  return clock;
}

/** In the operator's words where it is for them to see to. */
function explainDatabaseError(cause: unknown, env: Pick<Env, 'databaseUrl'>, url: string): unknown {
  const reason = explainConnectError(cause, url);
  if (reason === undefined) return cause;
  const place = env.databaseUrl === undefined ? 'The database in DATA_DIR' : 'DATABASE_URL';
  return new StartError(`${place}: ${reason}`, { cause });
}

/** The first project and its token: of a gateway, because it is what the token opens. Gives the secret if it made one. */
async function bootstrap({ db, env, clock, logger }: SyncDeps): Promise<string | undefined> {
  const { bootstrapToken } = env;
  const firstSecret = await ensureFirstProject(db, { bootstrapToken, now: clock.now() });
  if (
    bootstrapToken !== undefined &&
    !(await findViewerBySecret({ db, clock }, hashSecret(bootstrapToken)))
  ) {
    logger.warn(
      'BOOTSTRAP_TOKEN opens nothing: the database has tokens already, and it counts only while there is none',
    );
  }
  return firstSecret;
}

async function openEmbedded(env: Env, logger: Logger, stops: Stops): Promise<string> {
  const onSetUp = () =>
    logger.info(
      { dataDir: env.dataDir },
      'setting up a PostgreSQL of its own; that takes some seconds, once',
    );
  const open = async () => {
    const password = await keepSecret(env.dataDir, 'database-password', generatePassword);
    return await startEmbeddedPostgres({ dataDir: env.dataDir, password, onSetUp });
  };
  const postgres: EmbeddedPostgres = await open().catch((error) => {
    const reason = error instanceof DataDirectoryError ? error : explainFileError(error);
    throw reason ? new StartError(`DATA_DIR: ${reason.message}`, { cause: error }) : error;
  });
  stops.add('PostgreSQL', () => postgres.stop());
  logger.debug({ dataDir: env.dataDir }, 'the embedded PostgreSQL is up');
  return postgres.url;
}
