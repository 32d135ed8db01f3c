import { setMaxListeners } from 'node:events';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { type Pace, type PacerLine, takeTurn } from '../db/queries/pacer.ts';
import { RateLimitedError } from '../src/sync/iterable/errors.ts';
import {
  createIterableTurns,
  type IterableTurns,
  inTurn,
  type RequestKind,
} from '../src/sync/iterable-turns.ts';
import type { Taker } from '../src/sync/line.ts';
import { createTestDatabase } from './support/database.ts';

const PROJECT = { id: '1', data_center: 'US', partner_project_id: '77' } as const;
const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);
const LOGGER = pino({ level: 'silent' });

interface Processes extends AsyncDisposable {
  /** What each process takes its turns from. */
  turns: IterableTurns[];
  db: ReturnType<typeof connectDatabase>['db'];
  query(text: string): Promise<Record<string, unknown>[]>;
  /** Until that many processes are known to wait or to have requests under way. */
  untilLines(count: number): Promise<void>;
}

/** Several processes' worth of turns on one database. */
async function startProcesses(
  count: number,
  limits: { requestsPerSecond: number; concurrency: number },
): Promise<Processes> {
  const database = await createTestDatabase();
  const connections = Array.from({ length: count }, () => connectDatabase({ url: database.url }));
  const query = async (text: string) => (await connections[0]!.pool.query(text)).rows;
  return {
    turns: connections.map(({ db }) => createIterableTurns({ db, limits, logger: LOGGER })),
    db: connections[0]!.db,
    query,
    async untilLines(lines) {
      const read = async () =>
        (
          await query(
            'select count(*)::int as count from pacer_lines where under_way > 0 or asks_again_at is not null',
          )
        )[0]!.count;
      await expect.poll(read, { interval: 10, timeout: 60_000 }).toBe(lines);
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) await connection.stop();
      await database.drop();
    },
  };
}

const newTaker = (): Taker => ({ turnsTaken: 0 });

function request<T>(
  turns: IterableTurns,
  send: () => Promise<T>,
  {
    taker = newTaker(),
    kind = 'write',
    signal = NEVER,
  }: { taker?: Taker; kind?: RequestKind; signal?: AbortSignal } = {},
): Promise<T> {
  return inTurn(turns(PROJECT, kind), { taker, signal }, send);
}

const refused = (retryAfterMs?: number) => async () => {
  throw new RateLimitedError('429', retryAfterMs === undefined ? {} : { retryAfterMs });
};

test('all processes together keep one pace', async () => {
  await using processes = await startProcesses(3, { requestsPerSecond: 10, concurrency: 2 });
  const times: number[] = [];
  const send = async () => void times.push(performance.now());
  await Promise.all(processes.turns.flatMap((turns) => [1, 2, 3, 4, 5].map(() => request(turns, send))));
  expect(times).toHaveLength(15);
  // No eleventh within a second of the first; a process that is slow to send makes it no faster than this.
  expect(times[10]! - times[0]!).toBeGreaterThan(900);
  expect(times[14]! - times[0]!).toBeGreaterThan(1_200);
});

test('processes take turns, however much one of them has to do', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 10, concurrency: 2 });
  const [busy, quiet] = processes.turns;
  const order: string[] = [];
  const ask = (turns: IterableTurns, name: string) => request(turns, async () => void order.push(name));
  const many = Array.from({ length: 16 }, () => ask(busy!, 'busy'));
  await many[0];
  await Promise.all(Array.from({ length: 4 }, () => ask(quiet!, 'quiet')));
  // One each; a few more where a process was slow to ask.
  expect(order.filter((name) => name === 'busy').length).toBeLessThanOrEqual(9);
  await Promise.all(many);
});

test('processes take turns when Iterable is slow, too', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 100, concurrency: 1 });
  const [busy, quiet] = processes.turns;
  const order: string[] = [];
  const ask = (turns: IterableTurns, name: string) =>
    request(turns, async () => {
      order.push(name);
      // How long Iterable takes to answer: nothing is waited for by it.
      await new Promise((resolve) => setTimeout(resolve, 100));
    });
  const many = Array.from({ length: 12 }, () => ask(busy!, 'busy'));
  await many[0];
  await Promise.all(Array.from({ length: 3 }, () => ask(quiet!, 'quiet')));
  expect(order.filter((name) => name === 'busy').length).toBeLessThanOrEqual(8);
  await Promise.all(many);
});

test('a small run has every other turn, however many large ones there are and whatever each wants', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 100, concurrency: 1 });
  const [turns] = processes.turns;
  const order: string[] = [];
  const ask = (name: string, taker: Taker) => request(turns!, async () => void order.push(name), { taker });
  const large = Array.from({ length: 20 }, () => ({ turnsTaken: 1_000 }));
  const small = newTaker();
  const asked = [...large, ...large].map((taker) => ask('large', taker));
  asked.push(...[1, 2, 3, 4].map(() => ask('small', small)));
  await Promise.all(asked);
  expect(order.lastIndexOf('small')).toBeLessThanOrEqual(8);
  // And nobody starves: in the round, all have had a turn before one has its second.
  expect(large.map((taker) => taker.turnsTaken)).toEqual(Array(20).fill(1_002));
});

test.each([
  { title: 'over all processes', count: 3, requestsPerSecond: 200 },
  { title: 'of one process when there is no pace', count: 1, requestsPerSecond: 0 },
])('no more requests are under way than may be, $title', async ({ count, requestsPerSecond }) => {
  await using processes = await startProcesses(count, { requestsPerSecond, concurrency: 2 });
  let underWay = 0;
  let most = 0;
  const two = Promise.withResolvers<void>();
  async function send() {
    underWay++;
    most = Math.max(most, underWay);
    if (underWay === 2) two.resolve();
    await two.promise;
    // Iterable's answer takes its time: a third request that were let through would begin meanwhile, and fail the test.
    await new Promise((resolve) => setTimeout(resolve, 20));
    underWay--;
  }
  await Promise.all(processes.turns.flatMap((turns) => [1, 2, 3, 4].map(() => request(turns, send))));
  expect(most).toBe(2);
});

test('a request that takes long goes on counting; that of a killed process counts for ten seconds', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 100, concurrency: 1 });
  const [slow, other] = processes.turns;
  const answer = Promise.withResolvers<void>();
  const first = request(slow!, () => answer.promise);
  await processes.untilLines(1);
  const forget = `update pacer_lines set seen_at = seen_at - interval '11 seconds' where asks_again_at is null`;
  await processes.query(forget);
  // It is told again every few seconds.
  await expect
    .poll(
      () => processes.query(`select id from pacer_lines where seen_at > clock_timestamp() - interval '10 s'`),
      { timeout: 60_000 },
    )
    .toHaveLength(1);
  let isSent = false;
  const second = request(other!, async () => {
    isSent = true;
  });
  await processes.untilLines(2);
  expect(isSent).toBe(false);
  // As if nothing had been heard of it: what it has under way is taken for over.
  await processes.query(forget);
  await second;
  answer.resolve();
  await first;
});

test.each([
  { title: 'as long as it says', retryAfterMs: 1_500, holdMs: 1_500 },
  { title: 'for a second when it does not say how long', retryAfterMs: undefined, holdMs: 1_000 },
])(
  'after a 429 every process pauses, $title, also one that waits already',
  async ({ retryAfterMs, holdMs }) => {
    await using processes = await startProcesses(2, { requestsPerSecond: 10, concurrency: 1 });
    const [one, other] = processes.turns;
    let next: Promise<number> | undefined;
    let refusedAt = 0;
    const first = request(one!, async () => {
      next = request(other!, async () => performance.now());
      await processes.untilLines(2);
      refusedAt = performance.now();
      await refused(retryAfterMs)();
    });
    await expect(first).rejects.toThrow(RateLimitedError);
    // What is not known is when between question and answer the database decided.
    expect((await next!) - refusedAt).toBeGreaterThan(holdMs - 50);
  },
);

test('without a pace a 429 makes the runs of the process pause, and the database is not asked', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 0, concurrency: 2 });
  const [turns] = processes.turns;
  const startedAt = performance.now();
  await expect(request(turns!, refused(500))).rejects.toThrow(RateLimitedError);
  await request(turns!, async () => undefined);
  expect(performance.now() - startedAt).toBeGreaterThan(495);
  expect(await processes.query('select key from pacers')).toEqual([]);
});

const PACE: Pace = { key: 'k', turnsPerWindow: 2, windowMs: 60_000, gapMs: 0, concurrency: 9 };
const newLine = (given: Partial<PacerLine> = {}): PacerLine => ({
  id: crypto.randomUUID(),
  underWay: 0,
  lateMs: 0,
  ...given,
});

test('a turn that began late counts from when it did', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 0, concurrency: 1 });
  const { db } = processes;
  const line = newLine();
  expect(await takeTurn(db, PACE, line)).toMatchObject({ isGranted: true });
  expect(await takeTurn(db, PACE, line)).toMatchObject({ isGranted: true });
  const readFirst = async () =>
    (await processes.query('select recent[cardinality(recent)] as at from pacers'))[0]!.at as Date;
  await processes.query(
    `update pacers set recent = array(select at - interval '61 seconds' from unnest(recent) as at)`,
  );
  await processes.query(`update pacer_lines set last_turn_at = last_turn_at - interval '61 seconds'`);
  const before = await readFirst();
  // The second of the two was late by fifty seconds: it is the first of the next window.
  expect(await takeTurn(db, PACE, { ...line, lateMs: 50_000 })).toMatchObject({ isGranted: true });
  expect((await readFirst()).getTime() - before.getTime()).toBeGreaterThan(49_000);
  expect(await takeTurn(db, PACE, line)).toMatchObject({ isGranted: false });
});

test('a process that takes itself for later than it can be does not free the next turn', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 0, concurrency: 1 });
  const pace = { ...PACE, turnsPerWindow: 1 };
  const line = newLine();
  expect(await takeTurn(processes.db, pace, line)).toMatchObject({ isGranted: true });
  const answer = await takeTurn(processes.db, pace, { ...line, lateMs: 50_000 });
  expect(answer).toMatchObject({ isGranted: false });
});

test('whoever has waited for longest is next, unless it does not come', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 0, concurrency: 1 });
  const { db } = processes;
  const [first, second] = [newLine(), newLine()];
  const pace = { ...PACE, concurrency: 1 };
  const full = { underWay: 1 };
  expect(await takeTurn(db, pace, { ...first, ...full })).toMatchObject({ isGranted: false });
  expect(await takeTurn(db, pace, { ...second, ...full })).toMatchObject({ isGranted: false });
  await processes.query('update pacer_lines set under_way = 0');
  expect(await takeTurn(db, pace, second)).toMatchObject({ isGranted: false });
  await processes.query(
    `update pacer_lines set under_way = 0, asks_again_at = asks_again_at - interval '1 second' where id = '${first.id}'`,
  );
  expect(await takeTurn(db, pace, second)).toMatchObject({ isGranted: true });
});

test('five reads of lists go at once, and no sixth in any minute', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 5, concurrency: 2 });
  const [one, other] = processes.turns;
  const read = (turns: IterableTurns, signal = NEVER) =>
    request(turns, async () => undefined, { kind: 'listRead', signal });
  await Promise.all([read(one!), read(other!), read(one!), read(other!), read(one!)]);
  const giving = new AbortController();
  const sixth = read(other!, giving.signal);
  const asks = `select extract(epoch from (select max(at) from unnest(recent) as at) - clock_timestamp())::float8 as age,
    (select count(*)::int from pacer_lines where asks_again_at is not null) as waiting from pacers`;
  await expect.poll(async () => (await processes.query(asks))[0]!.waiting, { timeout: 60_000 }).toBe(1);
  await processes.query(
    `update pacers set recent = array(select at - interval '55 seconds' from unnest(recent) as at)`,
  );
  await expect(
    takeTurn(processes.db, { ...PACE, key: 'iterable:US-77:listRead', turnsPerWindow: 5 }, newLine()),
  ).resolves.toMatchObject({ isGranted: false });
  giving.abort(new Error('enough'));
  await expect(sixth).rejects.toThrow('enough');
  await processes.query(
    `update pacers set recent = array(select at - interval '6 seconds' from unnest(recent) as at)`,
  );
  await Promise.all([read(one!), read(other!), read(one!), read(other!), read(one!)]);
});

test('whoever gives up waiting is told why, and nobody waits for it', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 1, concurrency: 1 });
  const [one, other] = processes.turns;
  const giving = new AbortController();
  const hung = Promise.withResolvers<void>();
  const first = request(one!, () => hung.promise);
  await processes.untilLines(1);
  const second = request(other!, async () => undefined, { signal: giving.signal });
  await processes.untilLines(2);
  giving.abort(new Error('enough'));
  await expect(second).rejects.toThrow('enough');
  await processes.untilLines(1);
  hung.resolve();
  await first;
  await processes.untilLines(0);
});

test('a clock that is set back an hour keeps nobody waiting', async () => {
  await using processes = await startProcesses(2, { requestsPerSecond: 5, concurrency: 1 });
  for (const kind of ['write', 'listRead'] as const) {
    for (const turns of processes.turns) await request(turns, async () => undefined, { kind });
  }
  await processes.query(`update pacers set held_until = now() + interval '1 hour',
    recent = array(select at + interval '1 hour' from unnest(recent) as at)`);
  await processes.query(`insert into pacer_lines select gen_random_uuid(), key, 5, at, at, at
    from pacers, (select now() + interval '1 hour' as at) as later`);
  for (const kind of ['write', 'listRead'] as const) {
    for (const turns of processes.turns) await request(turns, async () => undefined, { kind });
  }
});

test('two of our projects on one Iterable project share its pace; unknown and other ones do not', async () => {
  await using processes = await startProcesses(1, { requestsPerSecond: 5, concurrency: 1 });
  const [turns] = processes.turns;
  for (const integration of [
    PROJECT,
    { ...PROJECT, id: '2' },
    { ...PROJECT, id: '3', data_center: 'EU' as const },
    { ...PROJECT, id: '4', partner_project_id: null },
    { ...PROJECT, id: '5', partner_project_id: null },
  ]) {
    await inTurn(turns!(integration, 'write'), { taker: newTaker(), signal: NEVER }, async () => undefined);
  }
  const rows = await processes.query('select cardinality(recent) as turns from pacers order by key');
  expect(rows.map((row) => row.turns)).toEqual([1, 2, 1, 1]);
});

test('when the database is gone, everybody who waits is told', async () => {
  const database = await createTestDatabase();
  const { db, stop } = connectDatabase({ url: database.url });
  const turns = createIterableTurns({ db, limits: { requestsPerSecond: 5, concurrency: 1 }, logger: LOGGER });
  await database.drop();
  const asked = [1, 2].map(() => request(turns, async () => undefined));
  for (const result of await Promise.allSettled(asked)) expect(result.status).toBe('rejected');
  await stop();
});
