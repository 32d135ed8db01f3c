import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { connectDatabase } from '../../db/connect.ts';
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts';
import { migrateToLatest } from '../../db/migrate.ts';
import { startBoss } from '../../src/sync/boss.ts';
import { TEMPLATE_DATABASE, urlOfDatabase } from './database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the database "postgres" on the server that all test files share. */
    serverUrl: string;
  }
}

/** One PostgreSQL server for the whole run, with a migrated database that each test clones. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cohort-sync-test-'));
  const postgres = await startEmbeddedPostgres({ dataDir, password: 'test' });
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await client.query(`create database ${TEMPLATE_DATABASE}`);
  // The server lives as long as the tests; it need not survive the machine.
  await client.query('alter system set fsync = off');
  await client.query('select pg_reload_conf()');
  await client.end();
  const templateUrl = urlOfDatabase(postgres.url, TEMPLATE_DATABASE);
  const database = connectDatabase({ url: templateUrl });
  await migrateToLatest(database.db);
  await database.stop();
  const boss = await startBoss({
    databaseUrl: templateUrl,
    logger: pino({ level: 'silent' }),
    supervise: false,
  });
  await boss.stop();
  project.provide('serverUrl', postgres.url);
  return async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}
