import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { planFiling } from '../src/events/plan-filing.ts';
import { exceedsBounds } from '../src/sync/json-bounds.ts';
import { readUsage } from './support/iterable-events.ts';
import { type LogLine, startService } from './support/service-process.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Processes start, and a note of five seconds runs out. */
vi.setConfig({ testTimeout: 240_000 });

const NOVEMBER = '2030-11-20T12:00:00.000Z';
const event = (messageId: string, dataFields: object = {}) =>
  JSON.stringify({
    email: 'ann@example.com',
    eventName: 'emailOpen',
    dataFields: { createdAt: '2030-11-19 10:00:00 +00:00', messageId, ...dataFields },
  });
const isSetAside = (line: LogLine) => line.msg.includes('was set aside');

/** Straight into the table, as a version that had no bounds stored them. */
async function plant(client: pg.Client, bodies: string[]): Promise<void> {
  await client.query(
    `insert into messaging_inbox (project_id, received_at, body)
     select (select id from projects where is_first), $1, body from unnest($2::text[]) with ordinality as of (body, place) order by place`,
    [NOVEMBER, bodies],
  );
}

async function connect(app: TestApp): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  return client;
}

/** With the heap of npm start. */
const startWorker = (app: TestApp) =>
  startService({
    ...app.env,
    ROLES: 'worker',
    LOG_LEVEL: 'info',
    NODE_OPTIONS: '--max-semi-space-size=8 --max-old-space-size=256',
  });

async function untilValue(client: pg.Client, query: string, wanted: unknown): Promise<void> {
  await vi.waitFor(
    async () => {
      const { rows } = await client.query(query);
      expect(rows[0]?.value).toEqual(wanted);
    },
    { timeout: 120_000, interval: 20 },
  );
}

test('events that would need more memory than there is are set aside, and the others are filed', async () => {
  await using app = await startTestApp({ now: NOVEMBER, env: { ROLES: 'gateway' } });
  await app.connectIterable();
  const client = await connect(app);
  const rows = `[${'{},'.repeat(2_000_000)}{}]`;
  // Within the bounds, as many as a batch takes.
  const crowded = (number: number) => event(`c${number}`, { rows: Array(3_000).fill({}) });
  await plant(client, [
    event('m1'),
    `{"eventName":"emailOpen","email":"ann@example.com","dataFields":{"rows":${rows}}}`,
    'no JSON',
    ...Array.from({ length: 150 }, (_, index) => crowded(index)),
    event('m2'),
  ]);
  await using service = startWorker(app);
  await untilValue(client, 'select count(*)::int as value from messaging_events', 152);
  const told = service.logs().filter(isSetAside);
  expect(told.map(({ reason }) => reason)).toEqual([
    'The body has more than 20000 values.',
    'It is no JSON that can be read.',
  ]);
  const { rows: kept } = await client.query('select id, reason from messaging_set_aside order by id');
  expect(kept).toEqual(told.map(({ id, reason }) => ({ id, reason })));
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 152, eventsPending: 152 });
  expect(await service.end('SIGTERM')).toBe(0);
  await client.end();
});

test('an event whose filing two processes did not survive is set aside, and the others are filed', async () => {
  await using app = await startTestApp({ now: NOVEMBER, env: { ROLES: 'gateway' } });
  await app.connectIterable();
  const client = await connect(app);
  await plant(
    client,
    ['m1', 'm2', 'm3'].map((id) => event(id)),
  );
  const observer = await connect(app);
  for (const isAlone of [false, true]) {
    // Holds the filing up in its midst.
    await client.query('begin; lock table messaging_events in access exclusive mode');
    await using service = startWorker(app);
    await untilValue(
      observer,
      "select is_alone as value from messaging_filings where first_id is not null and begun_at > now() - interval '1 second'",
      isAlone,
    );
    await service.end('SIGKILL');
    await client.query('rollback');
  }
  await using service = startWorker(app);
  expect(await service.untilLog(isSetAside)).toMatchObject({
    reason: 'Filing it was begun twice and never finished.',
  });
  await untilValue(observer, 'select count(*)::int as value from messaging_events', 2);
  const { rows } = await observer.query(
    `select body::json -> 'dataFields' ->> 'messageId' as id from messaging_set_aside`,
  );
  expect(rows).toEqual([{ id: 'm1' }]);
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 2, eventsPending: 2 });
  await Promise.all([client.end(), observer.end()]);
});

test('after a batch that was not survived its events are tried alone, and those that came later are not', () => {
  const died = { first_id: '8', last_id: '10', is_alone: false, alone_until: null };
  expect(planFiling(['8', '9', '10', '11'], died)).toEqual({
    kind: 'FILE',
    firstId: '8',
    lastId: '8',
    isAlone: true,
    aloneUntil: '10',
  });
  const done = { first_id: null, last_id: null, is_alone: true, alone_until: '10' };
  expect(planFiling(['9', '10', '11'], done)).toMatchObject({ firstId: '9', lastId: '9', isAlone: true });
  expect(planFiling(['11', '12'], done)).toMatchObject({ lastId: '12', isAlone: false, aloneUntil: null });
  const diedAlone = { first_id: '9', last_id: '9', is_alone: true, alone_until: '10' };
  expect(planFiling(['9', '10', '11'], diedAlone)).toEqual({ kind: 'SET_ASIDE', id: '9', aloneUntil: '10' });
  expect(planFiling(['10', '11'], diedAlone)).toMatchObject({ firstId: '10', isAlone: true });
});

test.each([
  ['{"a":[1,2,{"b":"x"}]}', undefined],
  ['[[[[]]]]', 'DEPTH'],
  ['[{},{},{}]', 'NODES'],
  [JSON.stringify(['[{,"\\', '[[[[,,,,']), undefined],
  ['"without an end [[[[[', undefined],
] as const)('of %s it is known before it is parsed whether it is too much', (text, exceeded) => {
  expect(exceedsBounds(Buffer.from(text), { maxNodes: 5, maxDepth: 3 })).toBe(exceeded);
});
