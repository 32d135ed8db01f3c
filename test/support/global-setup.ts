import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import type { TestProject } from 'vitest/node';
import { connectDatabase } from '../../db/connect.ts';
import { startEmbeddedPostgres } from '../../db/embedded-postgres.ts';
import { migrateToLatest } from '../../db/migrate.ts';
import { startBoss } from '../../src/sync/boss.ts';
import { onServer, TEMPLATE_DATABASE, urlOfDatabase } from './database.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Of the database "postgres" on the server that all test files share. */
    serverUrl: string;
  }
}

/** What all tests' databases and the write-ahead log take at most, by far. */
const NEEDED_BYTES = 3 * 1024 ** 3;

/**
 * One PostgreSQL server for the whole run, with a migrated database that each test clones: the embedded one, or the one
 * at TEST_DATABASE_URL, whose user may make databases.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.TEST_DATABASE_URL;
  const server = given === undefined ? await startServer() : { url: given, stop: async () => undefined };
  await onServer(server.url, `drop database if exists ${TEMPLATE_DATABASE}`);
  await onServer(server.url, `create database ${TEMPLATE_DATABASE}`);
  const templateUrl = urlOfDatabase(server.url, TEMPLATE_DATABASE);
  const database = connectDatabase({ url: templateUrl });
  await migrateToLatest(database.db);
  await database.stop();
  const boss = await startBoss({
    databaseUrl: templateUrl,
    logger: pino({ level: 'silent' }),
    supervise: false,
  });
  await boss.stop();
  project.provide('serverUrl', server.url);
  return server.stop;
}

async function startServer(): Promise<{ url: string; stop: () => Promise<void> }> {
  const dataDir = await mkdtemp(join(await findPlace(), 'cohort-sync-test-'));
  const postgres = await startEmbeddedPostgres({ dataDir, password: 'test' });
  // It lives as long as the tests, and need not survive the machine.
  await onServer(postgres.url, 'alter system set fsync = off');
  await onServer(postgres.url, 'select pg_reload_conf()');
  return {
    url: postgres.url,
    async stop() {
      await postgres.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** In memory where there is room: a clone of the template takes 20 ms there, and 150 ms on a disk. */
async function findPlace(): Promise<string> {
  const memory = '/dev/shm';
  const room = await statfs(memory).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => 0,
  );
  return room >= NEEDED_BYTES ? memory : tmpdir();
}
