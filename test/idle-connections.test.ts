import { sql } from 'kysely';
import pg from 'pg';
import { expect, test } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { createTestDatabase } from './support/database.ts';

test('an idle connection that breaks is told of without what it holds, and no more once the pool is stopped', async () => {
  const { url, drop } = await createTestDatabase();
  const told: Error[] = [];
  const { db, pool, stop } = connectDatabase({ url, onIdleError: (error) => void told.push(error) });
  await sql`select 1`.execute(db);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
    'cohort-sync',
  ]);
  await other.end();
  await expect.poll(() => told.length).toBe(1);
  expect(told[0]).toMatchObject({ code: '57P01' });
  expect(told[0]).not.toHaveProperty('client');
  await stop();
  pool.emit('error', new Error('on its way out'), undefined as never);
  expect(told).toHaveLength(1);
  await drop();
});
