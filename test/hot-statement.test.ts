import { sql } from 'kysely';
import pg from 'pg';
import { expect, test } from 'vitest';
import { connectDatabase, type DatabaseOptions } from '../db/connect.ts';
import { hotStatement } from '../db/hot-statement.ts';
import { parseInstant } from '../db/type-parsers.ts';
import { createTestDatabase } from './support/database.ts';

/** One connection, so that what it has prepared is seen. */
async function connectOnce(options: Partial<DatabaseOptions> = {}) {
  const own = await createTestDatabase({ template: false });
  const connected = connectDatabase({ url: own.url, maxConnections: 1, ...options });
  return {
    ...connected,
    async prepared(): Promise<string[]> {
      const { rows } = await connected.pool.query('select name from pg_prepared_statements order by name');
      return rows.map((row) => row.name);
    },
    async [Symbol.asyncDispose]() {
      await connected.stop();
      await own.drop();
    },
  };
}

const sum = () => {
  const statement = hotStatement<{ left: number; right: number }>('sum');
  return (db: Parameters<typeof statement.run>[0], values: { left: number; right: number }, key = '') =>
    statement.run(
      db,
      key,
      (_compiler, slot) => sql`select ${slot('left')}::int + ${slot('right')}::int, ${slot('left')}::int
        ${sql.raw(`/* ${key} */`)}`,
      values,
    );
};

test('a hot statement is planned once for a connection, and has the values of each call', async () => {
  await using database = await connectOnce();
  const add = sum();
  expect(await add(database.db, { left: 1, right: 2 })).toEqual([[3, 1]]);
  expect(await add(database.db, { left: 10, right: 20 })).toEqual([[30, 10]]);
  const inside = await database.db.transaction().execute((trx) => add(trx, { left: 5, right: 5 }));
  expect(inside).toEqual([[10, 5]]);
  expect(await database.prepared()).toEqual([expect.stringMatching(/^sum_[0-9a-f]{40}$/)]);
});

test('behind a pooler that knows no prepared statements they have no names, and the same answers', async () => {
  await using database = await connectOnce({ preparedStatements: false });
  expect(await sum()(database.db, { left: 1, right: 2 })).toEqual([[3, 1]]);
  expect(await database.prepared()).toEqual([]);
});

test('however many variants callers ask for, a connection keeps a bounded number of them', async () => {
  await using database = await connectOnce();
  const add = sum();
  for (let index = 0; index < 100; index++) {
    expect(await add(database.db, { left: index, right: 1 }, `variant ${index}`)).toEqual([
      [index + 1, index],
    ]);
  }
  expect(await database.prepared()).toHaveLength(32);
});

test('a value that is no slot is refused, because every later call would have it', async () => {
  await using database = await connectOnce();
  const statement = hotStatement<{ id: string }>('fixed');
  const run = statement.run(database.db, '', (_compiler, slot) => sql`select ${slot('id')}, ${7}`, {
    id: '1',
  });
  await expect(run).rejects.toThrow('is no slot');
});

test('instants are read as pg reads them, whatever the time zone of the session', () => {
  const parse = pg.types.getTypeParser(1184) as (text: string) => Date;
  for (const text of [
    '2026-11-30 08:15:00+00',
    '2026-02-28 23:59:59.9+00',
    '2000-01-01 00:00:00.123+00',
    '2000-01-01 00:00:00.123456+00',
    '2026-11-30 08:15:00.5+01',
    '2026-11-30 08:15:00+05:30',
    '0044-03-15 12:00:00+00 BC',
    '0001-01-01 00:00:00+00',
    '12026-11-30 08:15:00+00',
    'infinity',
  ])
    expect([text, parseInstant(text)]).toEqual([text, parse(text)]);
});
