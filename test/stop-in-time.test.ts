import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { expect, test, vi } from 'vitest';
import { connectDatabase, type Db } from '../db/connect.ts';
import { startCarrier } from '../src/events/start-carrier.ts';
import type { SyncDeps } from '../src/sync/deps.ts';
import { startScheduler } from '../src/sync/scheduler.ts';
import { createTestDatabase } from './support/database.ts';
import { startDatabaseRelay } from './support/database-relay.ts';
import { startService } from './support/service-process.ts';
import { startTestApp } from './support/test-app.ts';

vi.setConfig({ testTimeout: 60_000 });

/** What a process has from SIGTERM to its end. */
const PATIENCE_MS = 10_000;

const countWaiting = async (db: Db) => {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_locks where not granted
      and database = (select oid from pg_database where datname = current_database())`.execute(db);
  return rows[0]!.count;
};

const complaintsOf = (logs: Record<string, unknown>[]) => logs.filter((line) => Number(line.level) > 30);

const BEATING: [string, string, (deps: SyncDeps) => { stop(): Promise<void> }][] = [
  ['the scheduler', 'exports', startScheduler],
  ['the carrier of events', 'messaging_inbox', startCarrier],
];

test.each(BEATING)('%s waits at a stop for the beat that is under way', async (_who, table, start) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const own = connectDatabase({ url: app.database.url });
  const released = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = own.db.transaction().execute(async (trx) => {
    await sql`lock table ${sql.table(table)} in access exclusive mode`.execute(trx);
    locked.resolve();
    await released.promise;
  });
  await locked.promise;
  const part = start(app.app.sync);
  await expect.poll(() => countWaiting(own.db), { timeout: 10_000 }).toBeGreaterThan(0);
  const order: string[] = [];
  const stopping = part.stop().then(() => order.push('stopped'));
  // The test's own connections are as far away as those of the beat.
  expect(await countWaiting(own.db)).toBeGreaterThan(0);
  order.push('released');
  released.resolve();
  await Promise.all([holding, stopping]);
  expect(order).toEqual(['released', 'stopped']);
  expect(await countWaiting(own.db)).toBe(0);
  await app.app.stop();
  expect(complaintsOf(app.logs)).toEqual([]);
  await own.stop();
});

test('a beat that never ends holds up no stop', async () => {
  await using app = await startTestApp();
  const own = connectDatabase({ url: app.database.url });
  const ended = Promise.withResolvers<void>();
  const locked = Promise.withResolvers<void>();
  const holding = own.db.transaction().execute(async (trx) => {
    await sql`lock table exports in access exclusive mode`.execute(trx);
    locked.resolve();
    await ended.promise;
  });
  await locked.promise;
  await expect.poll(() => countWaiting(own.db), { timeout: 10_000 }).toBeGreaterThan(0);
  const startedAt = performance.now();
  await app.app.stop();
  expect(performance.now() - startedAt).toBeLessThan(PATIENCE_MS);
  expect(complaintsOf(app.logs)).toEqual([]);
  ended.resolve();
  await holding;
  await own.stop();
});

test('a service whose database has fallen silent is gone ten seconds after it was told to stop', async () => {
  const database = await createTestDatabase();
  await using relay = await startDatabaseRelay(database.url);
  await using service = startService({
    DATABASE_URL: relay.url,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
  });
  const url = await service.up();
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  relay.fallSilent();
  const startedAt = performance.now();
  expect(await service.end('SIGTERM')).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(PATIENCE_MS);
  expect(service.logs().at(-1)?.msg).toBe('stopped');
  expect(service.output()).not.toMatch(/destroyed/);
  await database.drop();
});
