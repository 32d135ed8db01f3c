import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { createEventSender, iterableTime, readUsage } from './support/iterable-events.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const NOVEMBER = { now: '2030-11-20T12:00:00.000Z' };
const SUCCESS = { status: 200, body: { status: 'success' } };
const open = (messageId: string, dataFields: Record<string, unknown> = {}) => ({
  email: 'ann@example.com',
  eventName: 'emailOpen',
  dataFields: { createdAt: '2030-11-19 10:00:00 +00:00', messageId, ...dataFields },
});

test('the address is shown to administrators only, and another one takes its place', async () => {
  await using app = await startTestApp();
  const query = '{ integration(provider: ITERABLE) { webhook { url lastReceivedAt } } }';
  expect((await app.api.query(query)).integration.webhook).toBeNull();
  await app.connectIterable();
  const { endpoint, send } = await createEventSender(app);
  expect(endpoint).toMatchObject({
    url: expect.stringMatching(/\/webhooks\/iterable\/[\w-]{32}$/),
    username: 'iterable',
  });
  expect((await app.api.query(query)).integration.webhook.lastReceivedAt).toBeNull();
  const { api: analyst } = await makeToken(app, 'ANALYST');
  expect((await analyst.query(query)).integration.webhook).toBeNull();
  expect((await analyst.fail('mutation { replaceIntegrationWebhook { id } }')).extensions.code).toBe(
    'FORBIDDEN',
  );

  expect(await send(open('m1'))).toEqual(SUCCESS);
  const told = (await app.api.query(query)).integration.webhook;
  expect(told.lastReceivedAt).toBe(app.clock.now().toISOString());
  const { replaceIntegrationWebhook: integration } = await app.api.query(
    'mutation { replaceIntegrationWebhook { id webhook { url password } } }',
  );
  expect(integration.webhook.url).not.toBe(told.url);
  expect((await app.api.query('{ integration(provider: ITERABLE) { id } }')).integration.id).toBe(
    integration.id,
  );
  expect((await send(open('m2'))).status).toBe(404);
  expect(await (await createEventSender(app)).send(open('m2'))).toEqual(SUCCESS);
});

test('whoever connected with a version that made no address is given one when it is asked for', async () => {
  await using app = await startTestApp();
  await app.connect();
  await app.app.sync.db.deleteFrom('webhook_endpoints').execute();
  const { endpoint, send } = await createEventSender(app);
  expect(await send(open('m1'))).toEqual(SUCCESS);
  expect((await createEventSender(app)).endpoint.url).toBe(endpoint.url);
});

test('the token is taken in every form that Iterable can be set to send it in, and nothing else is', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connectIterable();
  const { endpoint, sendAs } = await createEventSender(app);
  const { username, password } = endpoint;
  const basic = Buffer.from(`${username}:${password}`).toString('base64');
  const body = JSON.stringify(open('m1'));
  const forms: Record<string, string>[] = [
    { authorization: password },
    { authorization: `Basic ${password}` },
    { authorization: `Basic ${basic}` },
    { authorization: basic },
    { authorization: `OAuth2 ${password}` },
    { authorization: `Bearer ${password}` },
    { 'x-any-name': password },
    { 'api-key': `Bearer ${password}` },
  ];
  for (const headers of forms) expect([headers, await sendAs(headers, body)]).toEqual([headers, SUCCESS]);
  const strangers: Record<string, string>[] = [
    {},
    { authorization: '' },
    { authorization: 'Basic' },
    { authorization: `Basic ${username}` },
    { authorization: password.slice(1) },
    { authorization: `${password}x` },
    { authorization: password.toUpperCase() },
    { authorization: `Basic ${Buffer.from(`${username}:`).toString('base64')}` },
    { cookie: `token=${password}` },
  ];
  for (const headers of strangers) {
    const { status, body: told } = await sendAs(headers, body);
    expect([headers, status]).toEqual([headers, 401]);
    expect(told).toEqual({ status: 'failure', message: 'The token is missing or wrong.' });
  }
  expect(await readUsage(app, '2030-11')).toMatchObject({
    eventsReceived: 1,
    repeatsDropped: forms.length - 1,
  });
});

test('who knows the address and not the token gets nothing stored and learns nothing', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connect();
  const { endpoint, sendAs } = await createEventSender(app);
  const huge = 'x'.repeat(9 * 1024 * 1024);
  expect((await sendAs({}, huge)).status).toBe(401);
  expect((await sendAs({}, 'no json')).status).toBe(401);
  expect((await fetch(endpoint.url)).status).toBe(405);
  const elsewhere = endpoint.url.replace(/[\w-]+$/, 'x'.repeat(32));
  const withToken = { authorization: endpoint.password };
  expect((await fetch(elsewhere, { method: 'POST', headers: withToken, body: '{}' })).status).toBe(404);
  const mixpanels = endpoint.url.replace('/iterable/', '/mixpanel/');
  expect((await fetch(mixpanels, { method: 'POST', headers: withToken, body: '{}' })).status).toBe(404);
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 0, repeatsDropped: 0 });
  const { integration } = await app.api.query(
    '{ integration(provider: ITERABLE) { webhook { lastReceivedAt } } }',
  );
  expect(integration.webhook.lastReceivedAt).toBeNull();
});

test('what cannot be used is refused with the reason, and what is only unknown is taken', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connectIterable();
  const { endpoint, sendAs } = await createEventSender(app);
  const send = (body: string) => sendAs({ authorization: endpoint.password }, body);
  for (const [body, message] of [
    ['', 'The body is not JSON in UTF-8.'],
    ['{"eventName": "emailOpen"', 'The body is not JSON in UTF-8.'],
    ['[{"eventName":"emailOpen"}]', 'The body is no JSON object: send one event a call.'],
    ['null', 'The body is no JSON object: send one event a call.'],
    ['{"dataFields":{}}', 'eventName: must be a text that is not empty.'],
    ['{"eventName":7}', 'eventName: must be a text that is not empty.'],
    [JSON.stringify({ eventName: 'x'.repeat(256) }), 'eventName: must have at most 255 characters.'],
    ['{"eventName":"emailOpen","dataFields":[]}', 'dataFields: must be an object.'],
    [
      `{"eventName":"emailOpen","dataFields":{"a":${'['.repeat(9_999)}${']'.repeat(9_999)}}}`,
      'The body is nested deeper than 100 levels.',
    ],
    [
      `{"eventName":"emailOpen","dataFields":{"a":[${'{},'.repeat(2_000_000)}{}]}}`,
      'The body has more than 20000 values.',
    ],
  ] as const) {
    expect([body, await send(body)]).toEqual([body, { status: 400, body: { status: 'failure', message } }]);
  }
  expect((await send(JSON.stringify(open('m', { text: 'x'.repeat(9e6) })))).status).toBe(413);
  for (const body of [
    '{"eventName":"rcsSomethingNew","userId":"u-1"}',
    '{"eventName":"emailOpen","email":"a@example.com","dataFields":null}',
    '{"eventName":"NUL \\u0000 and half \\ud800","email":"b@example.com","dataFields":{"a\\u0000":"\\udfff"}}',
  ]) {
    expect([body, await send(body)]).toEqual([body, SUCCESS]);
  }
  const usage = await readUsage(app, '2030-11');
  expect(usage).toMatchObject({ eventsReceived: 3, eventsPending: 3, countedEvents: 3, countedUsers: 3 });
  expect(usage.byEvent.map(({ event }) => event).sort()).toEqual([
    'NUL \uFFFD and half \uFFFD',
    'emailOpen',
    'rcsSomethingNew',
  ]);
});

test('an event that cannot be stored is not answered with success, and comes again', async () => {
  await using app = await startTestApp({ ...NOVEMBER, allowFaults: true });
  await app.connectIterable();
  const { send } = await createEventSender(app);
  const { db } = app.app.sync;
  await sql`alter table messaging_inbox rename to elsewhere`.execute(db);
  expect((await send(open('m1'))).status).toBe(503);
  await sql`alter table elsewhere rename to messaging_inbox`.execute(db);
  expect(await send(open('m1'))).toEqual(SUCCESS);
  expect((await readUsage(app, '2030-11')).eventsReceived).toBe(1);
});

test('a repeat changes nothing but its own count, however it is spelt and whenever it comes', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connectIterable();
  const { send } = await createEventSender(app);
  const skip = {
    email: 'ann@example.com',
    eventName: 'inAppOpen',
    dataFields: { campaignId: 7, email: 'ann@example.com', list: [{ b: 1, a: 2 }] },
  };
  const same = {
    eventName: 'inAppOpen',
    dataFields: { list: [{ a: 2, b: 1 }], email: 'ann@example.com', campaignId: 7 },
    email: 'ann@example.com',
  };
  await Promise.all([send(open('m1')), send(open('m1')), send(skip), send(same)]);
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 2, repeatsDropped: 2 });
  app.clock.advance({ hours: 24 });
  await send(skip);
  await send(open('m1'));
  // Another click of the same message, another message, another person.
  await send(open('m1', { linkUrl: 'https://a.example.com' }));
  await send(open('m2'));
  await send({ ...open('m1'), email: 'ben@example.com' });
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 5, repeatsDropped: 4 });
});

test('an event counts in the month of its own time, in UTC, whatever the month of its receipt', async () => {
  await using app = await startTestApp({ now: '2030-12-01T00:00:05.000Z' });
  await app.connectIterable();
  const { send } = await createEventSender(app);
  const at = (messageId: string, createdAt: unknown) => send(open(messageId, { createdAt }));
  await at('m1', '2030-11-30 23:59:59 +00:00');
  await at('m2', '2030-12-01 00:00:00 +00:00');
  await at('m3', '2030-12-01 00:30:00 +01:00');
  await at('m4', '2030-11-30T23:59:59.999Z');
  // No time, and none that can be read: that of the receipt. One in the future: now.
  await at('m5', undefined);
  await at('m6', 'yesterday');
  await at('m7', '2031-03-01 00:00:00 +00:00');
  await at('m9', '0000-00-00 00:00:00 +00:00');
  await at('m10', '0000-01-01 00:00:00 +00:00');
  await at('m11', 0);
  await at('m12', -1e300);
  await at('m8', Date.parse('2030-11-30T12:00:00.000Z'));
  await at('m1', '2030-11-30 23:59:59 +00:00');
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 4, repeatsDropped: 1 });
  expect(await readUsage(app, '2030-12')).toMatchObject({ eventsReceived: 8, repeatsDropped: 0 });
  expect(await readUsage(app, '2031-03')).toMatchObject({ eventsReceived: 0 });
});

test('our own changes of lists are dropped and counted, changes of others are not', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  await app.syncToEnd(cohort.id);
  const ours = Number(app.iterable.list(cohort.listName)!.id);
  const { send } = await createEventSender(app);
  const change = (eventName: string, source: object, emailListIds: unknown[] | undefined, second = 0) =>
    send({
      email: 'ann@example.com',
      eventName,
      dataFields: {
        createdAt: iterableTime(`2030-11-20T10:00:0${second}Z`),
        ...source,
        emailListIds,
        channelIds: [],
      },
    });
  const subscribed = { signupSource: 'ListAPI' };
  const left = { unsubSource: 'ListAPI' };
  await change('emailSubscribe', subscribed, [ours]);
  await change('emailUnSubscribe', left, [ours], 1);
  await change('emailUnSubscribe', left, [ours], 1);
  expect(await readUsage(app, '2030-11')).toMatchObject({
    eventsReceived: 0,
    echoesDropped: 2,
    repeatsDropped: 1,
    exemptOnlyUsers: 0,
  });
  await change('emailSubscribe', subscribed, [ours, ours + 1]);
  await change('emailSubscribe', subscribed, [ours + 1]);
  await change('emailSubscribe', subscribed, []);
  await change('emailSubscribe', subscribed, undefined);
  await change('emailSubscribe', { signupSource: 'WebForm' }, [ours]);
  await change('emailUnSubscribe', { unsubSource: 'EmailLink' }, [ours]);
  await change('emailOpen', subscribed, [ours]);
  expect(await readUsage(app, '2030-11')).toMatchObject({ eventsReceived: 7, echoesDropped: 2 });
});

test('events are part of the story of their person', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connect();
  const cohort = await app.addCohort('Trial', [
    { distinctId: 'd-ann', properties: { $email: 'ann@example.com' } },
  ]);
  await app.syncToEnd(cohort.id);
  const { send } = await createEventSender(app);
  await send(open('m1', { campaignName: 'Spring sale' }));
  await send({ userId: 'stranger', eventName: 'pushOpen' });
  const story = async (args: string) =>
    (
      await app.api.query(`{ member(${args}) { email userId distinctIds lists { id } history { totalCount edges { node {
        at outcome messagingEvent detail run { id } export { id } } } } } }`)
    ).member;
  const ann = await story('email: "Ann@example.com"');
  expect(ann).toMatchObject({ email: 'ann@example.com', distinctIds: ['d-ann'] });
  expect(ann.lists).toHaveLength(1);
  expect(ann.history.edges.map((edge: { node: object }) => edge.node)).toMatchObject([
    { outcome: 'ADDED', messagingEvent: null },
    {
      at: '2030-11-19T10:00:00.000Z',
      outcome: null,
      messagingEvent: 'emailOpen',
      detail: expect.stringMatching(/^Campaign: Spring sale\. (Waits for|In) Mixpanel\.$/),
      run: null,
      export: null,
    },
  ]);
  expect((await story('distinctId: "d-ann"')).history.totalCount).toBe(2);
  expect(await story('userId: "stranger"')).toMatchObject({
    email: null,
    userId: 'stranger',
    distinctIds: ['stranger'],
    lists: [],
    history: { totalCount: 1 },
  });
});
