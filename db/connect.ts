import { setTimeout as wait } from 'node:timers/promises';
import {
  Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  type PostgresPool,
  PostgresQueryCompiler,
} from 'kysely';
import pg from 'pg';
import { breakConnection } from './break-connection.ts';
import { serveHotStatements } from './hot-client.ts';
import { type SessionLimits, setLimits } from './session-limits.ts';
import type { Tables } from './tables.ts';
import { typeParsers } from './type-parsers.ts';

/** Whoever still has a connection then has been left by those who stopped before. */
const STOP_PATIENCE_MS = 1_000;

export type Db = Kysely<Tables>;

export interface DatabaseOptions {
  url: string;
  /** Connections this process may hold. */
  maxConnections?: number;
  /** Bounds in time of what is done on the connections; none unless given. */
  limits?: SessionLimits;
  /** Whether hot statements are prepared by name; not through a pooler that does not know of them. */
  preparedStatements?: boolean;
  /** Told of connections that fail while idle (the server went away); the pool replaces them. */
  onIdleError?: (error: Error) => void;
  /** Told the text of every statement that is sent, for tests that count them. */
  onStatement?: ((text: string) => void) | undefined;
}

export interface Database {
  db: Db;
  pool: pg.Pool;
  /** Waits for connections that are in use, for a moment; then they are broken off. */
  stop(): Promise<void>;
}

/** Opens a pool; connections are made when they are needed. int8 arrives as a string, json as text is. */
export function connectDatabase(options: DatabaseOptions): Database {
  const { limits } = options;
  let stopped: Promise<void> | undefined;
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: 10_000,
    application_name: 'cohort-sync',
    // A transaction may have a statement under way while the next one is made: it is sent at once.
    pipeline: true,
    ...(limits ? { onConnect: (client: pg.ClientBase) => setLimits(client, limits) } : {}),
    types: typeParsers,
  });
  pool.on('error', (error) => {
    // On its way out, when the server is stopped together with us.
    if (stopped) return;
    // The pool hangs the client on it, which a log would print with all that it holds.
    Reflect.deleteProperty(error, 'client');
    options.onIdleError?.(error);
  });
  // A connection that breaks while it is in use is told of by the statement that fails. Its event, which the pool does not
  // listen to meanwhile, would end the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  pool.on('connect', (client) => serveHotStatements(client, { isNamed: options.preparedStatements ?? true }));
  const open = new Set<pg.PoolClient>();
  pool.on('connect', (client) => open.add(client));
  pool.on('remove', (client) => open.delete(client));
  const db = createDb(pool, options.onStatement);

  async function stop() {
    const ended = db.destroy().then(() => true);
    const late = wait(STOP_PATIENCE_MS, false, { ref: false });
    if (!(await Promise.race([ended, late]))) open.forEach(breakConnection);
  }

  return {
    db,
    pool,
    stop: () => (stopped ??= stop()),
  };
}

/** The dear parts of a Kysely; they hold nothing from one query to the next. */
const compiler = new PostgresQueryCompiler();
const adapter = new PostgresAdapter();

/** What makes statements of queries; costs some microseconds. onStatement is given the text of each. */
export function createDb(pool: PostgresPool, onStatement?: ((text: string) => void) | undefined): Db {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => adapter,
      createDriver: () => new PostgresDriver({ pool }),
      createIntrospector: (db) => new PostgresIntrospector(db),
      createQueryCompiler: () => compiler,
    },
    log: onStatement && ((event) => onStatement(event.query.sql)),
  });
}
