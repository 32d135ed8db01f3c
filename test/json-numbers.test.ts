import { expect, test } from 'vitest';
import { toImportRecord } from '../src/events/import-record.ts';
import { checkEvent, readEvent } from '../src/events/read-event.ts';
import { parseJson, RoundedNumber, stringifyJson } from '../src/json.ts';
import { faultsOf, importFile } from './support/import-file.ts';
import { createEventSender, untilCarried } from './support/iterable-events.ts';
import { createPusher, pushedMembers, untilApplied } from './support/mixpanel-push.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

// No double is as they are written: it may be somebody else's.
const ROUNDED = [
  '1e400',
  '1e401',
  '-1e400',
  `1${'0'.repeat(400)}`,
  '9007199254740991.4',
  '4503599627370497.25',
  '1234567890123456.78',
  '1234567890123456.79',
  '12345678.0000000000001',
  '1.00000000000000001',
  '1.0154012345678901E16',
  '1e-400',
];
// Neighbours that a double cannot tell apart.
const BIG = '10154012345678901';
const BIG_TOO = '10154012345678900';

const NOVEMBER = { now: '2030-11-20T12:00:00.000Z' };

/** Mixpanel answers the cohort's next read with this text. */
function answerNext(app: TestApp, results: string, total: number) {
  app.sandbox.faults.add({
    operation: 'mixpanel.engage',
    times: 1,
    reply: {
      status: 200,
      body: `{"results":[${results}],"page":0,"session_id":"s","page_size":1000,"total":${total},"status":"ok"}`,
    },
  });
}

async function startUserIdApp() {
  const app = await startTestApp({ iterable: { type: 'USER_ID' } });
  await app.connect({ idMerge: 'ORIGINAL', userIdFallback: 'DISTINCT_ID' });
  return app;
}

test('every digit of a whole number comes through, and only of numbers', () => {
  const text = `{"a":[${BIG},-${BIG}],"b":"${BIG}","c":9007199254740991,"d":0.1,"e":1e3}`;
  expect(parseJson(text)).toEqual({
    a: [BigInt(BIG), -BigInt(BIG)],
    b: BIG,
    c: 9007199254740991,
    d: 0.1,
    e: 1000,
  });
  expect(stringifyJson(parseJson(text))).toBe(text.replace('1e3', '1000'));
  expect(() => parseJson(`{"a":${BIG}`)).toThrow(SyntaxError);
});

test('a number that a double does not hold as it is written is told from those that it does', () => {
  for (const text of ROUNDED.slice(0, 10)) {
    const [value, again] = parseJson(`[${text},${JSON.stringify(text)}]`) as unknown[];
    expect(value, text).toBeInstanceOf(RoundedNumber);
    expect(again).toBe(text);
  }
  // As the languages of others spell doubles.
  const exact = [
    '12.5',
    '1.50',
    '0.30000000000000004',
    '1e3',
    '1.0E+2',
    '1700000000.1234567',
    '5e-324',
    '-0.0',
  ];
  expect(parseJson(`[${exact.join(' ,\n')}]`)).toEqual(exact.map(Number));
  expect(stringifyJson(parseJson('{"a":9007199254740991.4,"b":[1e400]}'))).toBe(
    '{"a":9007199254740991,"b":[null]}',
  );
});

test('engage: a number that may be another one is nobody', async () => {
  await using app = await startUserIdApp();
  const cohort = await app.addCohort('Numbers', { count: 0, member: () => ({ distinctId: '' }) });
  const byUserId = ROUNDED.map(
    (number, index) => `{"$distinct_id":"d-${index}","$properties":{"$iterable_user_id":${number}}}`,
  );
  const byDistinctId = ROUNDED.map((number) => `{"$distinct_id":${number},"$properties":{}}`);
  const exact = ['12.5', '1e3', '"x"'].map((number) => `{"$distinct_id":${number},"$properties":{}}`);
  answerNext(app, [...byUserId, ...byDistinctId, ...exact].join(','), 2 * ROUNDED.length + 3);
  const run = await app.syncToEnd(cohort.id);
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['1000', '12.5', 'x']);
  expect(run).toMatchObject({
    status: 'PARTIALLY_SUCCEEDED',
    counts: { added: 3, rejected: ROUNDED.length },
  });
  const rejected = await app.readLedger(run.id, { outcome: 'REJECTED' });
  expect(new Set(rejected.map(({ reason }) => reason))).toEqual(new Set(['INVALID_USER_ID']));
  const { syncRun } = await app.api.query(
    'query ($id: ID!) { syncRun(id: $id) { noticeDetails { count } } }',
    { id: run.id },
  );
  expect(syncRun.noticeDetails).toEqual([{ count: ROUNDED.length }]);
});

test.for(['as is usual', 'with a value that is not'])(
  'engage: a userId beyond 2^53 is sent with all its digits (a page spelt %s)',
  async (spelling) => {
    await using app = await startUserIdApp();
    const cohort = await app.addCohort('Numbers', { count: 0, member: () => ({ distinctId: '' }) });
    const more = spelling === 'as is usual' ? '' : ',"more":{}';
    const row = (id: string, userId: string) =>
      `{"$distinct_id":${id},"$properties":{"$iterable_user_id":${userId}${more}}}`;
    answerNext(
      app,
      [row('"a"', BIG), row('"b"', BIG_TOO), row('"c"', '12345'), row('"d"', '1.0154012345678901E16')].join(
        ',',
      ),
      4,
    );
    const run = await app.syncToEnd(cohort.id);
    expect(app.iterable.membersOf(cohort.listName)).toEqual([BIG_TOO, BIG, '12345']);
    expect(run).toMatchObject({ status: 'PARTIALLY_SUCCEEDED', counts: { added: 3, rejected: 1 } });
    expect(await app.readLedger(run.id, { outcome: 'REJECTED' })).toMatchObject([
      { distinctId: 'd', reason: 'INVALID_USER_ID' },
    ]);
  },
);

test("engage: a distinct_id that came as a number is somebody's of their own", async () => {
  await using app = await startUserIdApp();
  const cohort = await app.addCohort('Numbers', { count: 0, member: () => ({ distinctId: '' }) });
  const rows = [BIG, BIG_TOO].map((id) => `{"$distinct_id":${id},"$properties":{}}`);
  answerNext(app, rows.join(','), 2);
  expect(await app.syncToEnd(cohort.id)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual([BIG_TOO, BIG]);
});

test('pushed ids beyond 2^53 are two people', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { send } = await createPusher(app);
  const body = `{"action":"members","parameters":{"mixpanel_project_id":"${app.mixpanel.id}","mixpanel_cohort_id":${BIG},
    "mixpanel_cohort_name":"Hook","mixpanel_session_id":"s-1","page_info":{"total_pages":1,"page_count":1},"members":[
    {"mixpanel_distinct_id":${BIG_TOO},"email":"big1@example.com"},{"mixpanel_distinct_id":${BIG},"email":"big2@example.com"}]}}`;
  expect((await send(body)).status).toBe(200);
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual([BIG_TOO, BIG]);
  const { cohorts } = await app.api.query('{ cohorts { edges { node { externalId } } } }');
  expect(cohorts.edges).toEqual([{ node: { externalId: BIG } }]);
});

test('pushed ids that may be others are rows that name nobody', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { send } = await createPusher(app);
  const rows = [...ROUNDED, '12.5', '1e3'].map(
    (id, index) => `{"mixpanel_distinct_id":${id},"email":"p-${index}@example.com"}`,
  );
  const body = `{"action":"members","parameters":{"mixpanel_project_id":"${app.mixpanel.id}","mixpanel_cohort_id":"7",
    "mixpanel_cohort_name":"Hook","mixpanel_session_id":"s-1","page_info":{"total_pages":1,"page_count":1},"members":[${rows}]}}`;
  expect((await send(body)).status).toBe(200);
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual(['1000', '12.5']);
  const { cohorts } = await app.api.query('{ cohorts { edges { node { warning } } } }');
  expect(cohorts.edges[0].node.warning).toContain(String(ROUNDED.length));
});

test('an event of a userId that may be another one goes by its e-mail', () => {
  const read = (event: string) => readEvent(checkEvent(Buffer.from(event)), new Date());
  for (const userId of ROUNDED) {
    const event = `{"userId":${userId},"email":"inf@example.com","eventName":"emailSend"`;
    expect(read(`${event}}`), userId).toMatchObject({ userId: null, email: 'inf@example.com' });
    expect(read(`${event},"dataFields":{"userId":12.5}}`).userId, userId).toBe('12.5');
    expect(() => read(`${event},"dataFields":${userId}}`), userId).toThrow('must be an object');
  }
});

test('an event whose time has more digits than a double keeps its time', () => {
  const body = '{"eventName":"emailSend","email":"a@example.com","createdAt":1700000000.12345678901}';
  expect(readEvent(body, new Date()).at).toEqual(new Date(1_700_000_000_123));
});

test('an event of a userId beyond 2^53 is imported for that very person', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connect();
  const { endpoint, sendAs } = await createEventSender(app);
  const event = (userId: string, messageId: string) =>
    `{"userId":${userId},"eventName":"emailSend","dataFields":{"createdAt":"2030-11-19 00:00:00 +00:00","messageId":"${messageId}","order":${BIG}}}`;
  const headers = { authorization: `OAuth2 ${endpoint.password}` };
  for (const userId of [BIG, BIG_TOO]) expect((await sendAs(headers, event(userId, 'm'))).status).toBe(200);
  await untilCarried(app, '2030-11');
  expect(app.mixpanel.imported.all.map(({ distinctId }) => distinctId).sort()).toEqual([BIG_TOO, BIG]);
});

test('an event keeps the digits of its data, and one without all of its own goes by its e-mail', () => {
  const body = `{"email":"ann@example.com","userId":1.0154012345678901e16,"eventName":"purchase","dataFields":{"order":${BIG},"deep":{"a":{"b":{"c":{"d":${BIG}}}}}}}`;
  const { dataFields, userId, email, ...event } = readEvent(checkEvent(Buffer.from(body)), new Date(0));
  expect({ userId, email }).toEqual({ userId: null, email: 'ann@example.com' });
  const record = toImportRecord(
    {
      insert_id: event.insertId,
      event: event.name,
      at: event.at,
      email,
      user_id: userId,
      distinct_id: 'ann@example.com',
      campaign_id: null,
      campaign_name: null,
      data: stringifyJson(dataFields),
    },
    { source: 'iterable', idMerge: 'ORIGINAL' },
  );
  expect(record).toContain(`"order":${BIG},`);
  expect(record).toContain(`{\\"d\\":${BIG}}`);
});

test('NDJSON: ids beyond 2^53 are taken with all their digits', async () => {
  await using app = await startUserIdApp();
  const cohort = await importFile(
    app.api,
    'Numbers',
    [BIG, BIG_TOO].map((id) => `{"distinct_id":"d-${id}","$iterable_user_id":${id}}`).join('\n'),
  );
  await app.syncToEnd(cohort.id);
  expect(app.iterable.membersOf(`mixpanel_Numbers_${cohort.externalId}`)).toEqual([BIG_TOO, BIG]);
});

test('NDJSON: a number that may be another one is no identity', async () => {
  await using app = await startUserIdApp();
  expect(await faultsOf(app.api, 'Faults', ROUNDED.map((id) => `{"distinct_id":${id}}`).join('\n'))).toEqual(
    ROUNDED.map(
      (_, index) =>
        `input.file: line ${index + 1}: its distinct_id is neither text nor a number that is written out.`,
    ),
  );
  const rows = ROUNDED.map((id, index) => `{"distinct_id":"d-${index}","$iterable_user_id":${id}}`);
  const cohort = await importFile(app.api, 'Numbers', [...rows, '{"distinct_id":12.5}'].join('\n'));
  const run = await app.syncToEnd(cohort.id);
  expect(app.iterable.membersOf(`mixpanel_Numbers_${cohort.externalId}`)).toEqual(['12.5']);
  expect(run.counts).toMatchObject({ added: 1, rejected: ROUNDED.length });
});

test("Iterable's ids of lists are int64", async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Big list', {
    count: 1,
    member: () => ({ distinctId: 'a', properties: { $email: 'a@example.com' } }),
  });
  app.sandbox.faults.add({
    operation: 'iterable.createList',
    reply: { status: 200, body: `{"listId":${BIG}}` },
  });
  const { exportId } = await app.syncToEnd(cohort.id);
  const { export: exported } = await app.api.query('query ($id: ID!) { export(id: $id) { listId } }', {
    id: exportId,
  });
  expect(exported).toEqual({ listId: BIG });
});
