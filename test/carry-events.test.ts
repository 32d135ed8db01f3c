import { expect, test } from 'vitest';
import { createRandom } from '../sandbox/random.ts';
import { forgetEvents } from '../src/events/forget-events.ts';
import { startAnother } from './support/another-app.ts';
import { connectPartners } from './support/connect-partners.ts';
import { createEventSender, type IterableEvent, readUsage, untilCarried } from './support/iterable-events.ts';
import { SOON } from './support/mixpanel-waits.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

const NOVEMBER = { now: '2030-11-20T12:00:00.000Z' };
const MONTH = '2030-11';
const IMPORT = 'mixpanel.import';

const event = (
  person: string,
  eventName: string,
  dataFields: Record<string, unknown> = {},
): IterableEvent => ({
  email: `${person}@example.com`,
  userId: person,
  eventName,
  dataFields: { createdAt: '2030-11-19 10:00:00 +00:00', messageId: `${person}-${eventName}`, ...dataFields },
});

async function startConnected(options: TestAppOptions = {}) {
  const app = await startTestApp({ ...NOVEMBER, ...options });
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const { send } = await createEventSender(app);
  return Object.assign(app, {
    async sendAll(events: IterableEvent[]) {
      for (const one of events) expect(await send(one)).toMatchObject({ status: 200 });
    },
  });
}

const imported = (app: TestApp) => app.mixpanel.imported.distinct();
const calls = (app: TestApp) => app.sandbox.calls.of(IMPORT);
const attentionOf = async (app: TestApp) =>
  (await app.api.query('{ mixpanel { status attention } }')).mixpanel;
/** Mixpanel has not taken events this often in a row, and when it is asked again is written down. */
const untilPutOff = (app: TestApp, failures: number) =>
  expect
    .poll(() => app.app.sync.db.selectFrom('messaging_imports').select('failures').execute(), SOON)
    .toEqual([{ failures }]);
/** When Mixpanel is asked again, the beat does it; until then time stands still. */
const advanceABackOff = (app: TestApp) => app.clock.advance({ seconds: 66 });

test('an event arrives in Mixpanel under its own name, with its own time and what it says', async () => {
  await using app = await startConnected();
  await app.sendAll([
    event('ann', 'emailClick', {
      campaignId: 5,
      campaignName: 'Spring',
      labels: ['a', 'b'],
      workflowId: null,
      ip: '203.0.113.9',
      bucket: 'x',
      $ignore: true,
      $time: 7,
      distinct_id: 'somebody else',
      transactionalData: { order: { items: [{ deep: { deeper: 1 } }] } },
      long: 'x'.repeat(1_000),
    }),
  ]);
  const usage = await untilCarried(app, MONTH);
  expect(usage).toMatchObject({ eventsReceived: 1, eventsImported: 1, countedEvents: 1, countedUsers: 1 });
  const [only] = imported(app);
  expect(only).toMatchObject({
    event: 'emailClick',
    time: Date.parse('2030-11-19T10:00:00.000Z'),
    distinctId: 'ann',
    insertId: expect.stringMatching(/^[0-9a-f-]{36}$/),
  });
  expect(only!.properties).toMatchObject({
    $user_id: 'ann',
    $source: 'iterable',
    ip: 0,
    email: 'ann@example.com',
    userId: 'ann',
    campaignId: 5,
    campaignName: 'Spring',
    labels: ['a', 'b'],
    workflowId: null,
    iterable_ip: '203.0.113.9',
    iterable_bucket: 'x',
    iterable_ignore: true,
    iterable_time: 7,
    iterable_distinct_id: 'somebody else',
    long: 'x'.repeat(255),
  });
  expect(only!.properties).not.toHaveProperty('$ignore');
});

test('events wait while Mixpanel is not connected, and are carried once it is', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connectIterable();
  const { send } = await createEventSender(app);
  await send(event('ann', 'emailOpen'));
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsPending: 1, countedUsers: 1 });
  await app.connectMixpanel({ idMerge: 'SIMPLIFIED' });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1 });
  await app.api.query('mutation { disconnectMixpanel { id } }');
  await send(event('ben', 'emailOpen'));
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsImported: 1, eventsPending: 1 });
  await app.connectMixpanel({ idMerge: 'SIMPLIFIED' });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 2 });
});

test('a person has the distinct_id that syncs have learned, else the userId, else the e-mail', async () => {
  await using app = await startTestApp(NOVEMBER);
  app.mixpanel.settings.idMerge = 'ORIGINAL';
  await app.connect({ idMerge: 'ORIGINAL' });
  const cohort = await app.addCohort('Trial', [
    { distinctId: 'canonical-ann', properties: { $email: 'Ann@example.com', $iterable_user_id: 'u-ann' } },
    { distinctId: 'canonical-ben', properties: { $email: 'ben@example.com' } },
    { distinctId: 'canonical-cat', properties: { $email: 'not an address' } },
  ]);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  // Somebody who has left the list is still known.
  app.mixpanel.setMembers(cohort.externalId, [
    { distinctId: 'canonical-ann', properties: { $email: 'Ann@example.com', $iterable_user_id: 'u-ann' } },
  ]);
  await app.runToEnd(exportId);
  const { send } = await createEventSender(app);
  const sent: [Omit<IterableEvent, 'eventName'>, string | undefined][] = [
    [{ email: 'ANN@example.com' }, 'canonical-ann'],
    [{ userId: 'u-ann' }, 'canonical-ann'],
    [{ dataFields: { email: 'ben@example.com' } }, 'canonical-ben'],
    [{ userId: 'u-new', email: 'new@example.com' }, 'u-new'],
    [{ email: 'only@example.com' }, 'only@example.com'],
    // What Mixpanel takes for nobody is nobody's name.
    [{ userId: 'null', email: 'nobody@example.com' }, 'nobody@example.com'],
    [{ userId: 'undefined' }, undefined],
    [{}, undefined],
  ];
  for (const [index, [who]] of sent.entries()) await send({ ...who, eventName: `event-${index}` });
  expect(await untilCarried(app, MONTH)).toMatchObject({
    eventsReceived: 8,
    eventsImported: 6,
    eventsRejected: 2,
  });
  const found = new Map(imported(app).map((one) => [one.event, one.distinctId]));
  expect(sent.map((_, index) => found.get(`event-${index}`))).toEqual(sent.map(([, id]) => id));
  expect(imported(app).every(({ properties }) => !('$user_id' in properties))).toBe(true);
});

test('people who were synced a moment ago are known, however many they are', async () => {
  await using app = await startTestApp({ ...NOVEMBER, env: { ITERABLE_BATCH_SIZE: '10' } });
  app.mixpanel.settings.idMerge = 'ORIGINAL';
  await app.connect({ idMerge: 'ORIGINAL' });
  const members = Array.from({ length: 700 }, (_, index) => ({
    distinctId: `canonical-${index}`,
    properties: { $email: `p${index}@example.com` },
  }));
  const cohort = await app.addCohort('Trial', members);
  await app.syncToEnd(cohort.id);
  const { send } = await createEventSender(app);
  for (const index of [3, 350, 699]) await send({ email: `p${index}@example.com`, eventName: 'emailOpen' });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 3 });
  const ids = imported(app).map(({ distinctId }) => distinctId);
  expect(ids.sort()).toEqual(['canonical-3', 'canonical-350', 'canonical-699']);
});

test('bodies as Iterable was seen to send them arrive', async () => {
  await using app = await startConnected();
  const bodies = [
    // From its documentation, and from what others have recorded.
    '{"email":"docs@example.com","userId":"1","eventName":"emailSendSkip","dataFields":{"createdAt":"2019-08-07 18:56:10 +00:00","reason":"DuplicateMarketingMessage","campaignId":721398,"messageId":"98430abe1b9842c991ce221010121553","email":"docs@example.com"}}',
    '{"email":"docs@example.com","eventName":"pushBounce","dataFields":{"campaignId":723636,"campaignName":"My test","workflowId":null,"templateId":964353,"channelId":21005,"messageTypeId":5,"platformEndpoint":"<endpoint>","payload":{"path":"your_folder/30"},"pushMessage":"hi","createdAt":"2019-08-07 19:00:10 +00:00","email":"docs@example.com","labels":[]}}',
    '{"userId":"only-an-id","eventName":"inAppSend","dataFields":{"createdAt":"2019-08-07 19:00:10 +00:00","messageId":"m","messageContext":{"saveToInbox":false,"trigger":"next-session"},"expiresAt":null}}',
    '{"eventName":"emailUnSubscribe","dataFields":{"email":"Only.In@Fields.example.com","unsubSource":"EmailLink","emailListIds":[],"channelIds":[27447],"messageTypeIds":[],"createdAt":"2019-08-07 18:56:10 +00:00"}}',
  ];
  const { endpoint, sendAs } = await createEventSender(app);
  for (const body of bodies) {
    expect((await sendAs({ authorization: endpoint.password }, body)).status).toBe(200);
  }
  expect(await untilCarried(app, '2019-08')).toMatchObject({ eventsImported: 4, exemptEvents: 4 });
  expect(imported(app).map((one) => [one.event, one.distinctId])).toEqual([
    ['emailSendSkip', '1'],
    ['pushBounce', 'docs@example.com'],
    ['inAppSend', 'only-an-id'],
    ['emailUnSubscribe', 'only.in@fields.example.com'],
  ]);
});

test.for(['index', 'insert_id', '$insert_id'] as const)(
  'what Mixpanel refuses of a batch is refused one by one, with its reason, by its %s',
  async (name) => {
    const insertIdSpelling = name === 'index' ? 'insert_id' : name;
    await using app = await startConnected({ mixpanel: { insertIdSpelling, tellsIndex: name === 'index' } });
    app.mixpanel.settings.refusedEvents = [{ event: 'badEvent', message: 'properties.x is invalid' }];
    await app.sendAll([event('ann', 'emailOpen'), event('ben', 'badEvent'), event('cat', 'emailOpen')]);
    const usage = await untilCarried(app, MONTH);
    expect(usage).toMatchObject({ eventsReceived: 3, eventsImported: 2, eventsRejected: 1, countedUsers: 2 });
    expect(imported(app).map(({ distinctId }) => distinctId)).toEqual(['ann', 'cat']);
    const { member } = await app.api.query(
      '{ member(userId: "ben") { history { edges { node { messagingEvent detail } } } } }',
    );
    expect(member.history.edges[0].node).toEqual({
      messagingEvent: 'badEvent',
      detail: expect.stringContaining('properties.x is invalid'),
    });
  },
);

test('who is refused without being named is found by halving, and nobody else is lost', async () => {
  await using app = await startConnected({ mixpanel: { namesFailures: false } });
  app.mixpanel.settings.refusedEvents = [{ event: 'badEvent', message: 'events like this are not allowed' }];
  const names = Array.from({ length: 9 }, (_, index) => (index === 6 ? 'badEvent' : `good-${index}`));
  await app.sendAll(names.map((name) => event('ann', name)));
  const usage = await untilCarried(app, MONTH);
  expect(usage).toMatchObject({ eventsReceived: 9, eventsImported: 8, eventsRejected: 1 });
  expect(imported(app)).toHaveLength(8);
});

test('a partner that says 200 and has taken less is found out', async () => {
  await using app = await startConnected();
  app.mixpanel.settings.liesAbout = 1;
  await app.sendAll([event('ann', 'emailOpen'), event('ben', 'emailOpen')]);
  const usage = await untilCarried(app, MONTH);
  // Alone, each is said not to have been taken.
  expect(usage).toMatchObject({ eventsReceived: 2, eventsImported: 0, eventsRejected: 2, countedUsers: 0 });
});

test('a batch that is too large is sent in halves, and one event that is too large is refused', async () => {
  await using app = await startConnected({ mixpanel: { maxImportBytes: 2_000 } });
  const text = (size: number) =>
    Object.fromEntries(Array.from({ length: size }, (_, n) => [`f${n}`, 'x'.repeat(200)]));
  await app.sendAll([...Array(8).keys()].map((n) => event(`p${n}`, 'emailOpen', text(n === 3 ? 20 : 2))));
  const usage = await untilCarried(app, MONTH);
  expect(usage).toMatchObject({ eventsReceived: 8, eventsImported: 7, eventsRejected: 1, countedUsers: 7 });
  expect(imported(app)).toHaveLength(7);
});

test('429, 5xx and silence put off, and every event arrives in the end, once', async () => {
  await using app = await startConnected();
  app.sandbox.faults.add({
    operation: IMPORT,
    times: 1,
    reply: { status: 429, body: { code: 429, error: 'Project exceeded rate limits.' } },
  });
  app.sandbox.faults.add({ operation: IMPORT, times: 1, reply: { status: 502, body: '<html>' } });
  app.sandbox.faults.add({ operation: IMPORT, times: 1, drop: 'after' });
  await app.sendAll([event('ann', 'emailOpen'), event('ben', 'emailOpen')]);
  for (const count of [1, 2, 3]) {
    await untilPutOff(app, count);
    expect(calls(app)).toHaveLength(count);
    expect(await readUsage(app, MONTH)).toMatchObject({ eventsImported: 0, eventsPending: 2 });
    advanceABackOff(app);
  }
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 2 });
  // The third answer was lost after Mixpanel had taken both.
  expect(app.mixpanel.imported.accepted).toBe(4);
  expect(imported(app)).toHaveLength(2);
  expect(await app.app.sync.db.selectFrom('messaging_imports').selectAll().execute()).toEqual([]);
});

test('credentials that may not import hold the events and say what to do, and connecting again carries them', async () => {
  await using app = await startConnected();
  app.mixpanel.settings.importAllowed = false;
  await app.sendAll([event('ann', 'emailOpen')]);
  await expect.poll(async () => (await attentionOf(app)).status, SOON).toBe('NEEDS_ATTENTION');
  expect((await attentionOf(app)).attention).toMatch(
    /^Events cannot be imported: Mixpanel answered 401 .*Owner or Admin/,
  );
  // Cohorts can still be read, and reading them does not take the word back.
  await app.api.query('mutation { refreshCohorts { id } }');
  expect((await attentionOf(app)).status).toBe('NEEDS_ATTENTION');
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsPending: 1 });
  app.mixpanel.settings.importAllowed = true;
  await app.connectMixpanel({ idMerge: 'SIMPLIFIED' });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1 });
  expect(await attentionOf(app)).toEqual({ status: 'CONNECTED', attention: null });
});

test('a role that was given meanwhile is found out without connecting again', async () => {
  await using app = await startConnected();
  app.mixpanel.settings.importAllowed = false;
  await app.sendAll([event('ann', 'emailOpen')]);
  await untilPutOff(app, 1);
  app.mixpanel.settings.importAllowed = true;
  app.clock.advance({ minutes: 15 });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1 });
  expect((await attentionOf(app)).status).toBe('CONNECTED');
});

test('identity events, which would have all of a batch refused, are refused alone and never sent', async () => {
  await using app = await startConnected();
  await app.sendAll([event('ann', '$identify'), event('ann', 'emailOpen')]);
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1, eventsRejected: 1 });
  expect(calls(app)).toHaveLength(1);
});

test('two processes carry the same events, each of them once', async () => {
  await using app = await startConnected();
  await using _other = await startAnother(app);
  for (let round = 0; round < 5; round++) {
    await app.sendAll([...Array(20).keys()].map((n) => event(`p${n}`, `event-${round}`)));
  }
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsReceived: 100, eventsImported: 100 });
  expect(app.mixpanel.imported.accepted).toBe(100);
});

test('old events are forgotten and their sums stay; what waits is kept', async () => {
  await using app = await startConnected({ env: { MESSAGING_EVENT_RETENTION: '1h' } });
  await app.sendAll([event('ann', 'emailOpen')]);
  const before = await untilCarried(app, MONTH);
  await app.api.query('mutation { disconnectMixpanel { id } }');
  await app.sendAll([event('ben', 'emailOpen')]);
  await readUsage(app, MONTH);
  app.clock.advance({ hours: 2 });
  await forgetEvents(app.app.sync);
  const kept = await app.app.sync.db.selectFrom('messaging_events').select(['user_id', 'state']).execute();
  expect(kept).toEqual([{ user_id: 'ben', state: 'PENDING' }]);
  expect(await readUsage(app, MONTH)).toMatchObject({
    eventsReceived: before.eventsReceived + 1,
    eventsImported: before.eventsImported,
    countedUsers: 2,
  });
});

test('a project whose Mixpanel is silent holds up no other, and stops with the service', async () => {
  await using app = await startConnected();
  const { api } = await makeProject(app, 'Another');
  const iterable = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  const mixpanel = app.sandbox.mixpanel.addProject();
  await connectPartners(api, { iterable, mixpanel });
  const other = await createEventSender(app, api);
  app.sandbox.faults.add({ operation: IMPORT, hang: true, times: 1 });
  await app.sendAll([event('ann', 'emailOpen')]);
  await expect.poll(() => calls(app).length, SOON).toBe(1);
  await other.send(event('ben', 'emailOpen'));
  expect(await untilCarried({ api }, MONTH)).toMatchObject({ eventsImported: 1 });
  expect(mixpanel.imported.accepted).toBe(1);
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsImported: 0, eventsPending: 1 });
});

test('a learned distinct_id that nobody could use keeps no event from its way', async () => {
  await using app = await startTestApp(NOVEMBER);
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const random = createRandom(1);
  const letters = () => String.fromCharCode(97 + Math.floor(random() * 26));
  const long = Array.from({ length: 4_000 }, letters).join('');
  const cohort = await app.addCohort('Trial', [
    { distinctId: long, properties: { $email: 'ann@example.com' } },
  ]);
  await app.syncToEnd(cohort.id);
  const { send } = await createEventSender(app);
  await send({ email: 'ann@example.com', eventName: 'emailOpen' });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1 });
  expect(imported(app)).toMatchObject([{ distinctId: 'ann@example.com' }]);
});

test('whoever comes with a userId on simplified ID merge is that, whoever else is in the batch', async () => {
  await using app = await startTestApp({ ...NOVEMBER, env: { ROLES: 'gateway' } });
  await app.connect({ idMerge: 'SIMPLIFIED' });
  await app.app.sync.db
    .insertInto('messaging_inbox')
    .values(
      [
        { email: 'ann@example.com', eventName: 'a' },
        { email: 'ann@example.com', userId: 'u-ann', eventName: 'b' },
      ].map((body) => ({ project_id: '1', received_at: app.clock.now(), body: JSON.stringify(body) })),
    )
    .execute();
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsReceived: 2, countedUsers: 2 });
  const { member } = await app.api.query('{ member(userId: "u-ann") { distinctIds } }');
  expect(member.distinctIds).toEqual(['u-ann']);
});

test('very large events come one by one, and none is lost', async () => {
  await using app = await startConnected();
  const text = 'x'.repeat(1_500_000);
  await app.sendAll([...Array(6).keys()].map((n) => event(`p${n}`, 'emailOpen', { text })));
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 6, countedUsers: 6 });
});

test('a 400 that says nothing of events gives none of them up', async () => {
  await using app = await startConnected();
  app.sandbox.faults.add({
    operation: IMPORT,
    times: 1,
    reply: { status: 400, body: { code: 400, error: 'invalid project_id', status: 'Bad Request' } },
  });
  await app.sendAll([event('ann', 'emailOpen'), event('ben', 'emailOpen')]);
  await untilPutOff(app, 1);
  expect((await attentionOf(app)).attention).toContain('invalid project_id');
  expect(await readUsage(app, MONTH)).toMatchObject({ eventsPending: 2, eventsRejected: 0 });
  app.clock.advance({ minutes: 15 });
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 2 });
});

test('an answer that names one of two and says that none was taken does not condemn the other', async () => {
  await using app = await startConnected();
  const answer = { code: 400, num_records_imported: 0, failed_records: [{ index: 1, message: 'bad' }] };
  app.sandbox.faults.add({ operation: IMPORT, times: 1, reply: { status: 400, body: answer } });
  const { db } = app.app.sync;
  const bodies = [event('ann', 'emailOpen'), event('ben', 'emailOpen')].map((one) => JSON.stringify(one));
  await db
    .insertInto('messaging_inbox')
    .values(bodies.map((body) => ({ project_id: '1', received_at: app.clock.now(), body })))
    .execute();
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1, eventsRejected: 1 });
  expect(imported(app)).toMatchObject([{ distinctId: 'ann' }]);
});

test('people of months that are long over are not counted, and their events are', async () => {
  await using app = await startConnected();
  const old = { createdAt: '2019-08-07 18:56:10 +00:00' };
  await app.sendAll([event('ann', 'emailOpen', old)]);
  expect(await untilCarried(app, '2019-08')).toMatchObject({ countedEvents: 1, countedUsers: 0 });
  await forgetEvents(app.app.sync);
  await app.sendAll([event('ann', 'emailClick', old)]);
  expect(await untilCarried(app, '2019-08')).toMatchObject({ countedEvents: 2, countedUsers: 0 });
});

test('an answer that says null where nothing is to be said is taken as it is meant', async () => {
  await using app = await startConnected();
  const body = { code: 200, num_records_imported: null, failed_records: null, error: null, status: 'OK' };
  app.sandbox.faults.add({ operation: IMPORT, times: 1, reply: { status: 200, body } });
  await app.sendAll([event('ann', 'emailOpen')]);
  expect(await untilCarried(app, MONTH)).toMatchObject({ eventsImported: 1, eventsRejected: 0 });
  expect(calls(app)).toHaveLength(1);
});
