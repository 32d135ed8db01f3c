import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import { breakConnection } from './break-connection.ts';

const CHANNEL = 'cohort_sync';
const MAX_RECONNECT_MS = 5_000;
/** A connection that is dead without saying so is found out by this. */
const PING_INTERVAL_MS = 10_000;
/** What a server that is there takes to end a connection. */
const STOP_PATIENCE_MS = 1_000;

export interface Listener {
  /** Bounded in time. */
  stop(): Promise<void>;
}

/**
 * Hears what the triggers announce, for as long as it is not stopped; the connection is made again when it breaks.
 * onConnect is called after every connect: what was announced before may have been missed.
 */
export function startListener(options: {
  url: string;
  onNotification: (payload: string) => void;
  onConnect: () => void;
  onError: (error: unknown) => void;
}): Listener {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  let failures = 0;

  function lose(lost: pg.Client, error: unknown) {
    if (client !== lost || isStopped) return;
    client = undefined;
    options.onError(error);
    lost.end().catch(() => undefined);
    clearTimeout(timer);
    timer = setTimeout(connect, Math.min(MAX_RECONNECT_MS, 100 * 2 ** failures++));
  }

  async function connect() {
    const opened = new pg.Client({
      connectionString: options.url,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      application_name: 'cohort-sync-listener',
    });
    client = opened;
    opened.on('error', (error) => lose(opened, error));
    opened.on('end', () => lose(opened, new Error('The listening connection ended.')));
    opened.on('notification', ({ payload }) => options.onNotification(payload ?? ''));
    try {
      await opened.connect();
      await opened.query(`listen ${CHANNEL}`);
      failures = 0;
      options.onConnect();
      ping(opened);
    } catch (error) {
      lose(opened, error);
    }
  }

  function ping(opened: pg.Client) {
    if (client !== opened) return;
    timer = setTimeout(() => {
      opened.query('select 1').then(
        () => ping(opened),
        (error) => lose(opened, error),
      );
    }, PING_INTERVAL_MS);
  }

  const connecting = connect();
  return {
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      const ended = connecting.then(() => client?.end()).catch(() => undefined);
      await Promise.race([ended, wait(STOP_PATIENCE_MS, undefined, { ref: false })]);
      if (client) breakConnection(client);
      client = undefined;
    },
  };
}
