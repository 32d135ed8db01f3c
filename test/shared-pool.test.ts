import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { connectDatabase, type Database, type Db } from '../db/connect.ts';
import { TooManyWaitingError } from '../db/fair-slots.ts';
import { hotStatement } from '../db/hot-statement.ts';
import { createSharedPool, type SharedPool } from '../db/shared-pool.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';

let database: TestDatabase;
/** Looks on, with connections of its own. */
let observer: Database;

beforeAll(async () => {
  database = await createTestDatabase({ template: false });
  observer = connectDatabase({ url: database.url });
  await sql`create table things (name text primary key)`.execute(observer.db);
});

afterAll(async () => {
  await observer.stop();
  await database.drop();
});

const reason = new Error('The caller has gone.');

interface Shared extends AsyncDisposable {
  shared: SharedPool;
  pool: pg.Pool;
}

function openShared(options: {
  connections: number;
  perKey?: number;
  maxWaiting?: number;
  url?: string;
}): Shared {
  const { connections, url = database.url, ...bounds } = options;
  const { pool, stop } = connectDatabase({ url, maxConnections: connections });
  return { pool, shared: createSharedPool({ pool, ...bounds }), [Symbol.asyncDispose]: stop };
}

/** Runs until it is ended; the name tells it from others among the server's statements. */
function sleep(db: Db, name: string) {
  return sql`select pg_sleep(60), ${sql.lit(name)} as name`.execute(db);
}

async function countRunning(name: string, begunAfter = new Date(0)): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pg_stat_activity
    where state = 'active' and query like ${`select pg_sleep(60), '${name}'%`}
      and query_start > ${begunAfter}`.execute(observer.db);
  return rows[0]!.count;
}

async function untilRunning(name: string, count: number) {
  await vi.waitFor(async () => expect(await countRunning(name)).toBe(count), {
    timeout: 10_000,
    interval: 10,
  });
}

async function backendOf(db: Db): Promise<number> {
  const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
  return rows[0]!.pid;
}

test('a statement under way ends in PostgreSQL with the abort, and not only for its caller', async () => {
  await using opened = openShared({ connections: 2 });
  const left = new AbortController();
  const statement = sleep(opened.shared.viewFor({ key: 'caller', signal: left.signal }), 'aborted');
  const ended = expect(statement).rejects.toBe(reason);
  await untilRunning('aborted', 1);
  left.abort(reason);
  await ended;
  expect(await countRunning('aborted')).toBe(0);
});

test('a shared statement is sent once for those of a key who wait, and ends when the last of them has left', async () => {
  await using opened = openShared({ connections: 4, perKey: 4 });
  // Runs until it is ended, as sleep(); nothing waits for its minute.
  const statement = hotStatement<object>('shared_sleep', { isShared: true });
  const callers = ['first', 'second', 'third', 'stranger'].map((name) => {
    const left = new AbortController();
    const key = name === 'stranger' ? 'another' : 'caller';
    const db = opened.shared.viewFor({ key, signal: left.signal });
    const ask = () => statement.run(db, '', () => sql`select pg_sleep(60), 'shared' as name`, {});
    return { left, ask };
  });
  const leave = async (caller: Caller, asked: Promise<unknown>) => {
    caller.left.abort(reason);
    await expect(asked).rejects.toBe(reason);
  };
  const [first, second, third, stranger] = callers as [Caller, Caller, Caller, Caller];
  const alone = first.ask();
  await untilRunning('shared', 1);
  // They came while it was under way, and are not told what was so before; a stranger shares nothing with them.
  const [two, three, foreign] = [second.ask(), third.ask(), stranger.ask()];
  await untilRunning('shared', 2);
  const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(observer.db);
  await leave(first, alone);
  await vi.waitFor(async () => expect(await countRunning('shared', rows[0]!.at)).toBe(1), {
    timeout: 10_000,
  });
  await leave(second, two);
  expect(await countRunning('shared')).toBe(2);
  await leave(third, three);
  await untilRunning('shared', 1);
  await leave(stranger, foreign);
  await untilRunning('shared', 0);
  await expect(second.ask()).rejects.toBe(reason);
  expect(await countRunning('shared')).toBe(0);
});

interface Caller {
  left: AbortController;
  ask(): Promise<unknown>;
}

test('a connection whose statement was cancelled serves the next one', async () => {
  await using opened = openShared({ connections: 1 });
  const before = await backendOf(opened.shared.viewFor({ key: 'caller' }));
  for (let round = 0; round < 5; round++) {
    const left = new AbortController();
    const statement = sleep(opened.shared.viewFor({ key: 'caller', signal: left.signal }), 'again');
    await untilRunning('again', 1);
    left.abort();
    await expect(statement).rejects.toBe(left.signal.reason);
  }
  expect(await backendOf(opened.shared.viewFor({ key: 'caller' }))).toBe(before);
});

test('aborts at any moment never end what somebody else does on the same connection', async () => {
  await using opened = openShared({ connections: 2, perKey: 2 });
  const other = opened.shared.viewFor({ key: 'other' });
  let served = 0;
  let isOver = false;
  const others = (async () => {
    while (!isOver) {
      await sql`select pg_sleep(0.001)`.execute(other);
      served++;
    }
  })();
  for (let round = 0; round < 150; round++) {
    const left = new AbortController();
    const db = opened.shared.viewFor({ key: 'leaver', signal: left.signal });
    const statement = sql`select pg_sleep(0.003)`.execute(db).catch((error) => error);
    // From before the statement is sent to after it has ended.
    setTimeout(() => left.abort(), (round % 10) / 2);
    await statement;
  }
  isOver = true;
  await others;
  expect(served).toBeGreaterThan(0);
});

test('a statement whose cancellation never arrives ends with its connection', async () => {
  const { host, port } = new pg.Client({ connectionString: database.url });
  let connections = 0;
  // Lets the first connection through, and says nothing on any other.
  const proxy = createServer((socket) => {
    socket.on('error', () => undefined);
    if (connections++ > 0) return;
    const server = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    server.on('error', () => socket.destroy());
    socket.pipe(server).pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const url = new URL(database.url);
  url.host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  await using opened = openShared({ connections: 1, url: url.href });
  const left = new AbortController();
  const statement = sleep(opened.shared.viewFor({ key: 'caller', signal: left.signal }), 'out of reach');
  const ended = expect(statement).rejects.toBe(reason);
  await untilRunning('out of reach', 1);
  left.abort(reason);
  await ended;
  await vi.waitFor(() => expect(opened.pool.totalCount).toBe(0));
  proxy.close();
}, 20_000);

test('after the abort nothing begins any more', async () => {
  await using opened = openShared({ connections: 1 });
  const left = new AbortController();
  const db = opened.shared.viewFor({ key: 'caller', signal: left.signal });
  left.abort();
  await expect(sql`select 1`.execute(db)).rejects.toBe(left.signal.reason);
  expect(opened.pool.totalCount).toBe(0);
});

test('a transaction is rolled back by an abort, also one between two statements', async () => {
  await using opened = openShared({ connections: 1 });
  const left = new AbortController();
  const db = opened.shared.viewFor({ key: 'caller', signal: left.signal });
  const writing = db.transaction().execute(async (trx) => {
    await sql`insert into things values ('between')`.execute(trx);
    left.abort(reason);
  });
  await expect(writing).rejects.toBe(reason);
  const again = opened.shared.viewFor({ key: 'caller' });
  const { rows } = await sql`select * from things where name = 'between'`.execute(again);
  expect(rows).toEqual([]);
});

test('a transaction is rolled back by an abort of the statement that it has under way', async () => {
  await using opened = openShared({ connections: 1 });
  const left = new AbortController();
  const db = opened.shared.viewFor({ key: 'caller', signal: left.signal });
  const writing = db.transaction().execute(async (trx) => {
    await sql`insert into things values ('under way')`.execute(trx);
    await sleep(trx, 'in transaction');
  });
  const ended = expect(writing).rejects.toBe(reason);
  await untilRunning('in transaction', 1);
  left.abort(reason);
  await ended;
  const again = opened.shared.viewFor({ key: 'caller' });
  const { rows } = await sql`select * from things where name = 'under way'`.execute(again);
  expect(rows).toEqual([]);
});

test('what one key has under way and waiting does not delay another key', async () => {
  await using opened = openShared({ connections: 5 });
  const left = new AbortController();
  const greedy = opened.shared.viewFor({ key: 'greedy', signal: left.signal });
  const statements = Array.from({ length: 50 }, () => sleep(greedy, 'greedy').catch((error) => error));
  // Two of five: its share.
  await untilRunning('greedy', 2);
  await sql`select 1`.execute(opened.shared.viewFor({ key: 'modest' }));
  // Nothing had to end first.
  expect(await countRunning('greedy')).toBe(2);
  left.abort();
  expect(new Set(await Promise.all(statements))).toEqual(new Set([left.signal.reason]));
});

test('the service itself is held to no share', async () => {
  await using opened = openShared({ connections: 5 });
  const left = new AbortController();
  const own = opened.shared.viewFor({ signal: left.signal });
  const statements = Array.from({ length: 5 }, () => sleep(own, 'own').catch((error) => error));
  await untilRunning('own', 5);
  left.abort();
  await Promise.all(statements);
});

test('the statements of one key are served in their order', async () => {
  await using opened = openShared({ connections: 1 });
  const order: number[] = [];
  const db = opened.shared.viewFor({ key: 'caller' });
  await Promise.all(
    [1, 2, 3, 4, 5].map((number) => sql`select 1`.execute(db).then(() => order.push(number))),
  );
  expect(order).toEqual([1, 2, 3, 4, 5]);
});

test('more waiters than the bound are refused, of one key and of all', async () => {
  await using opened = openShared({ connections: 1, maxWaiting: 300 });
  const left = new AbortController();
  const ask = (key: string) =>
    sleep(opened.shared.viewFor({ key, signal: left.signal }), 'bounded').catch((error) => error);
  const isRefused = (error: unknown) => error instanceof TooManyWaitingError;
  const first = Array.from({ length: 202 }, () => ask('first'));
  await untilRunning('bounded', 1);
  const second = Array.from({ length: 102 }, () => ask('second'));
  expect(await Promise.race(first)).toBeInstanceOf(TooManyWaitingError);
  expect(await Promise.race(second)).toBeInstanceOf(TooManyWaitingError);
  left.abort();
  expect((await Promise.all(first)).filter(isRefused)).toHaveLength(1);
  expect((await Promise.all(second)).filter(isRefused)).toHaveLength(2);
});
