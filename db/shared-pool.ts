import type { PostgresPool, PostgresPoolClient } from 'kysely';
import type pg from 'pg';
import { breakConnection } from './break-connection.ts';
import { cancelStatement } from './cancel-statement.ts';
import { createDb, type Db } from './connect.ts';
import { createFairSlots } from './fair-slots.ts';
import { type HotSender, sendHotWith } from './hot-client.ts';
import { type Caller, createSharedRounds } from './shared-rounds.ts';

/** Of ten connections four: one caller gets on well with it, and two together leave some for the others. */
const SHARE_OF_A_KEY = 0.4;
/** A statement that has not ended this long after it was cancelled hangs with its server or on the way; its connection goes. */
const CANCEL_PATIENCE_MS = 5_000;
/** SQLSTATE of a statement that was cancelled, and of one that took longer than its statement_timeout. */
const QUERY_CANCELED = '57014';

export interface SharedPool {
  /**
   * The database on behalf of a caller, who is known by the key; cheap enough to be made for each operation. At most a share
   * of the pool is the key's at a time; a statement or transaction that gets no connection throws TooManyWaitingError. When
   * the signal aborts, nothing new begins, what runs is cancelled in PostgreSQL, transactions are rolled back, and all of
   * them throw the signal's reason. Without a key it is the service's own, which is held to no share.
   */
  viewFor(options: { key?: string; signal?: AbortSignal | undefined }): Db;
}

/** Nobody else should take connections from the pool, for whom they would not be counted. */
export function createSharedPool(options: {
  pool: pg.Pool;
  /** Connections that a key may have at a time; a share of the pool unless given. */
  perKey?: number;
  onStatement?: ((text: string) => void) | undefined;
  maxWaitingPerKey?: number;
  maxWaiting?: number;
  patienceMs?: number;
}): SharedPool {
  const { pool } = options;
  const slots = pool.options.max;
  const fair = createFairSlots({
    ...options,
    slots,
    perKey: options.perKey ?? Math.max(1, Math.floor(slots * SHARE_OF_A_KEY)),
  });

  /** Of statements that many ask in the same way; within a key, whose share they count to. */
  const rounds = createSharedRounds<Rows>(() => new Error('Nobody waits for the statement any more.'));

  /** By what a connection broke while nothing was under way on it; the next statement says only that it is broken. */
  const breaks = new WeakMap<pg.PoolClient, Error>();
  pool.on('connect', (client) => {
    // The first is the reason; that the connection is gone follows.
    client.on('error', (error) => breaks.has(client) || breaks.set(client, error));
  });

  async function lend(key: string | undefined, signal: AbortSignal | undefined): Promise<PostgresPoolClient> {
    const free = await fair.take(key, signal);
    const connecting = pool.connect();
    try {
      const client = await untilAborted(connecting, signal);
      const send: Send = (statement, values) =>
        client.query(statement as string, values).catch((error) => {
          throw breaks.get(client) ?? error;
        });
      return signal ? leaseUntil(signal, client, send, free) : lease(client, send, free);
    } catch (error) {
      connecting
        .then(
          (client) => client.release(),
          () => undefined,
        )
        .finally(free);
      throw error;
    }
  }

  async function send(
    key: string | undefined,
    signal: AbortSignal | undefined,
    text: string,
    values: unknown[],
  ): Promise<Rows> {
    const client = await lend(key, signal);
    try {
      options.onStatement?.(text);
      return await client.query(text, values);
    } finally {
      client.release();
    }
  }

  return {
    viewFor({ key, signal }) {
      const view: PostgresPool = {
        options: pool.options,
        connect: () => lend(key, signal),
        // The connections are the pool's.
        end: async () => undefined,
      };
      const sendHot: HotSender = (text, values, { isShared }) => {
        if (!isShared || key === undefined) return send(key, signal, text, values);
        // Nobody would hear of an abort that is over.
        if (signal?.aborted) return Promise.reject(signal.reason);
        const round = rounds.join(
          `${key} ${text} ${JSON.stringify(values)}`,
          callerOf(signal),
          (controller) => send(key, controller.signal, text, values),
        );
        return untilAborted(round, signal);
      };
      return sendHotWith(createDb(view, options.onStatement), sendHot);
    },
  };
}

type Rows = Awaited<ReturnType<HotSender>>;
type Send = (statement: string | pg.QueryConfig, values?: unknown[]) => Promise<pg.QueryResult>;

/** A connection for as long as a view has it. */
function lease(client: pg.PoolClient, send: Send, free: () => void): PostgresPoolClient {
  return {
    query: send as unknown as PostgresPoolClient['query'],
    release(destroy) {
      client.release(destroy);
      free();
    },
  };
}

/** The same, with statements that are cancelled when the signal aborts. */
function leaseUntil(
  signal: AbortSignal,
  client: pg.PoolClient,
  send: Send,
  free: () => void,
): PostgresPoolClient {
  let underWay = 0;
  let cancelling: Promise<void> | undefined;
  let isCancelled = false;
  let patience: NodeJS.Timeout | undefined;

  function cancel(): void {
    if (underWay === 0) return;
    patience = setTimeout(() => breakConnection(client), CANCEL_PATIENCE_MS);
    // If the server could not be asked, the statement ends by itself or with its connection.
    cancelling = cancelStatement(client).catch(() => undefined);
  }

  const query: Send = async (statement, values) => {
    const text = typeof statement === 'string' ? statement : statement.text;
    if (signal.aborted && text !== 'rollback') throw signal.reason;
    // The end of a transaction is short, and whoever breaks it off does not know how it went.
    const isEnd = text === 'commit' || text === 'rollback';
    if (!isEnd) underWay++;
    try {
      return await send(statement, values);
    } catch (error) {
      if (!signal.aborted) throw error;
      isCancelled ||= (error as pg.DatabaseError).code === QUERY_CANCELED;
      throw signal.reason;
    } finally {
      if (!isEnd) underWay--;
    }
  };

  async function giveBack(destroy = false): Promise<void> {
    signal.removeEventListener('abort', cancel);
    await cancelling;
    // A request that came too late for its statement ends this one, which stands between it and the connection's next user.
    const isClean = destroy || !cancelling || isCancelled || (await canQuery(client));
    clearTimeout(patience);
    client.release(destroy || !isClean);
    free();
  }

  signal.addEventListener('abort', cancel, { once: true });
  return { query: query as unknown as PostgresPoolClient['query'], release: giveBack };
}

async function canQuery(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query('select 1');
    return true;
  } catch (error) {
    return (error as pg.DatabaseError).code === QUERY_CANCELED;
  }
}

function callerOf(signal: AbortSignal | undefined): Caller {
  return {
    onLeft(leave) {
      signal?.addEventListener('abort', leave, { once: true });
      return () => signal?.removeEventListener('abort', leave);
    },
  };
}

/** Throws the signal's reason as soon as it aborts; what was waited for goes on. */
async function untilAborted<Result>(
  waited: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (!signal) return await waited;
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([waited, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
