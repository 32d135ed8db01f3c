import { sql } from 'kysely';
import pg from 'pg';
import { expect, test } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { createSharedPool } from '../db/shared-pool.ts';
import { createTestDatabase } from './support/database.ts';
import { startTestApp } from './support/test-app.ts';

const BUSY = {
  message: 'The database is busy. Try again in a moment.',
  extensions: { code: 'RATE_LIMITED', retryAfterSeconds: 1 },
};

test('an operation that waits for a lock is told in time that the database is busy', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const holder = new pg.Client({ connectionString: app.database.url });
  await holder.connect();
  await holder.query('begin; lock table cohorts in access exclusive mode');
  const { errors } = await app.api.send('{ cohorts { totalCount } }');
  expect(errors).toMatchObject([BUSY]);
  await holder.end();
  expect((await app.api.query('{ cohorts { totalCount } }')).cohorts).toEqual({ totalCount: 0 });
});

test('sessions have the limits of their pool', async () => {
  const database = await createTestDatabase({ template: false });
  const limits = { statementMs: 50, lockMs: 20, idleInTransactionMs: 50 };
  const { pool, stop } = connectDatabase({ url: database.url, maxConnections: 2, limits });
  const db = createSharedPool({ pool }).viewFor({});
  await expect(sql`select pg_sleep(60)`.execute(db)).rejects.toMatchObject({ code: '57014' });
  // The connection that was idle is gone. What its user hears first, PostgreSQL's words or the break, is chance.
  const idle = db.transaction().execute(async (trx) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(trx);
    await untilGone(rows[0]!.pid);
    await sql`select 1`.execute(trx);
  });
  await expect(idle).rejects.toThrow(/idle|ECONNRESET|terminated/);
  await sql`select 1`.execute(db);

  async function untilGone(pid: number) {
    const observer = new pg.Client({ connectionString: database.url });
    await observer.connect();
    const count = async () =>
      (await observer.query('select from pg_stat_activity where pid = $1', [pid])).rowCount;
    while ((await count()) !== 0) await observer.query('select pg_sleep(0.02)');
    await observer.end();
  }
  await stop();
  await database.drop();
});
