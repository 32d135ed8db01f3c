import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts';
import { cpuSecondsOf } from './process-usage.ts';

export interface BenchPostgres {
  /** A new database, empty; dropped by stop(). */
  createDatabase(): Promise<BenchDatabase>;
  /** Of the whole server; NaN when it runs on another machine. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

export interface BenchDatabase {
  url: string;
  client: pg.Client;
  /** How much write-ahead log the server has written, in bytes. */
  walBytes(): Promise<number>;
  /** Waits until the service has indexed the people of earlier runs, which it does in the background. */
  untilIndexed(): Promise<void>;
}

/** The server that the service would start by itself, with the service's own settings, or a given one. */
export async function startPostgres(databaseUrl: string | undefined): Promise<BenchPostgres> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cohort-sync-bench-'));
  const embedded =
    databaseUrl === undefined ? await startEmbeddedPostgres({ dataDir, password: 'bench' }) : undefined;
  const serverUrl = databaseUrl ?? embedded!.url;
  const admin = await connect(serverUrl);
  const clients: pg.Client[] = [];
  const names: string[] = [];
  const serverPid = embedded && (await readServerPid(dataDir));
  return {
    async createDatabase() {
      const name = `bench_${randomBytes(6).toString('hex')}`;
      await admin.query(`create database ${name}`);
      names.push(name);
      const url = new URL(serverUrl);
      url.pathname = `/${name}`;
      const client = await connect(url.href);
      clients.push(client);
      return {
        url: url.href,
        client,
        async walBytes() {
          const { rows } = await client.query(
            `select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::float8 as bytes`,
          );
          return rows[0].bytes;
        },
        async untilIndexed() {
          const waiting = 'select from sync_batches where not is_indexed limit 1';
          while ((await client.query(waiting)).rowCount !== 0) await sleep(200);
        },
      };
    },
    cpuSeconds: () => (serverPid === undefined ? Number.NaN : cpuSecondsOf(serverPid)),
    async stop() {
      for (const client of clients) await client.end();
      for (const name of names) await admin.query(`drop database if exists ${name} with (force)`);
      await admin.end();
      await embedded?.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return client;
}

async function readServerPid(dataDir: string): Promise<number> {
  return Number((await readFile(join(dataDir, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
}
