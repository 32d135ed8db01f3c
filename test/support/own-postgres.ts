import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts';

/** A PostgreSQL server of somebody's own, which may be made to crash. */
export interface OwnPostgres extends AsyncDisposable {
  url: string;
  /**
   * One of its processes is killed. It then does what pg_ctl restart -m immediate does: it ends all the others, and starts
   * again from what its log holds. Resolves when it takes connections again.
   */
  crash(): Promise<void>;
}

export async function startOwnPostgres(): Promise<OwnPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cohort-sync-own-'));
  const open = () => startEmbeddedPostgres({ dataDir, password: 'own' });
  let server = await open();
  const { url } = server;
  return {
    url,
    async crash() {
      const client = await connect(url);
      const { rows } = await client.query('select pg_backend_pid() as pid');
      const ended = new Promise((resolve) => client.once('end', resolve));
      process.kill(rows[0].pid, 'SIGKILL');
      await ended;
      // Waits for it; and whoever has opened it before cannot stop it any more.
      server = await open();
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      // It could not, if the connection by which it counts as a user was among those that broke.
      await (await open()).stop();
      await rm(dataDir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
}

/** Ends every connection to a database but its own. */
export async function breakConnections(url: string): Promise<void> {
  const client = await connect(url);
  await client.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid()`,
  );
  await client.end();
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
