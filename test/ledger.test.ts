import { describe, expect, test } from 'vitest';
import type { Bucket } from '../sandbox/iterable/identity.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

async function reasons(app: TestApp, runId: string): Promise<Record<string, string | null>> {
  const ledger = await app.readLedger(runId, { outcome: 'REJECTED' });
  return Object.fromEntries(ledger.map((member) => [member.distinctId, member.reason]));
}

const buckets: { bucket: Bucket; reason: string }[] = [
  { bucket: 'invalid', reason: 'ITERABLE_INVALID' },
  { bucket: 'notFound', reason: 'ITERABLE_NOT_FOUND' },
  { bucket: 'forgotten', reason: 'ITERABLE_FORGOTTEN' },
  { bucket: 'conflict', reason: 'ITERABLE_CONFLICT' },
  { bucket: 'invalidData', reason: 'ITERABLE_INVALID_DATA' },
];

test.each([
  { type: 'EMAIL', identifierOf: (id: string) => `${id}@example.com` },
  { type: 'USER_ID', identifierOf: (id: string) => `u-${id}` },
] as const)(
  'each of the failure arrays of a project of type $type becomes its reason',
  async ({ type, identifierOf }) => {
    await using app = await startTestApp({ iterable: { type } });
    await app.connect();
    const everybody = ['good', ...buckets.map(({ bucket }) => bucket)];
    const cohort = await app.addCohort(
      'Refused',
      everybody.map((id) => person(id, { $iterable_user_id: `u-${id}` })),
    );
    app.iterable.settings.refusals = buckets.map(({ bucket }) => ({
      identifier: type === 'EMAIL' ? identifierOf(bucket).toLowerCase() : identifierOf(bucket),
      bucket,
    }));
    const run = await app.syncToEnd(cohort.id);
    expect(run).toMatchObject({
      status: 'PARTIALLY_SUCCEEDED',
      counts: { members: 6, added: 1, rejected: 5, notProcessed: 0 },
    });
    expect(await reasons(app, run.id)).toEqual(
      Object.fromEntries(buckets.map(({ bucket, reason }) => [bucket, reason])),
    );
    expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
  },
);

test('the answer of 2021 with two arrays is understood', async () => {
  await using app = await startTestApp({ iterable: { answerStyle: '2021' } });
  await app.connect();
  const cohort = await app.addCohort('Old', [person('good'), person('bad')]);
  app.iterable.settings.refusals = [{ identifier: 'bad@example.com', bucket: 'invalid' }];
  const run = await app.syncToEnd(cohort.id);
  expect(await reasons(app, run.id)).toEqual({ bad: 'ITERABLE_INVALID' });
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
});

test('somebody named in other case or by the other identifier is found', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Named', [
    person('upper'),
    person('other', { $iterable_user_id: 'u-other' }),
    person('good'),
  ]);
  app.iterable.settings.refusals = [
    { identifier: 'upper@example.com', bucket: 'invalid', named: 'Upper@EXAMPLE.com' },
    { identifier: 'other@example.com', bucket: 'conflict', named: 'u-other' },
  ];
  const run = await app.syncToEnd(cohort.id);
  expect(await reasons(app, run.id)).toEqual({ upper: 'ITERABLE_INVALID', other: 'ITERABLE_CONFLICT' });
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
});

test('in a hybrid project somebody sent by userId and named by e-mail is found', async () => {
  await using app = await startTestApp({ iterable: { type: 'HYBRID' } });
  await app.connect();
  const cohort = await app.addCohort('Named', [person('a', { $iterable_user_id: 'u-a' }), person('b')]);
  app.iterable.settings.refusals = [{ identifier: 'u-a', bucket: 'conflict', named: 'a@example.com' }];
  const run = await app.syncToEnd(cohort.id);
  expect(await reasons(app, run.id)).toEqual({ a: 'ITERABLE_CONFLICT' });
});

test('people who fail without being named are found by splitting the batch', async () => {
  await using app = await startTestApp({
    iterable: { unnamedFailures: ['p3@example.com', 'p12@example.com'] },
  });
  await app.connect();
  const cohort = await app.addCohort('Unnamed', people(16));
  const run = await app.syncToEnd(cohort.id);
  expect(run.counts).toMatchObject({ members: 16, added: 14, rejected: 2 });
  expect(await reasons(app, run.id)).toEqual({ p3: 'ITERABLE_UNATTRIBUTED', p12: 'ITERABLE_UNATTRIBUTED' });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(14);
});

test('two people of one batch with one userId are told apart by sending each alone', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Namesakes', [
    person('a', { $iterable_user_id: 'same' }),
    person('b', { $iterable_user_id: 'same' }),
    person('c'),
  ]);
  app.iterable.settings.refusals = [{ identifier: 'b@example.com', bucket: 'conflict', named: 'same' }];
  const run = await app.syncToEnd(cohort.id);
  expect(await reasons(app, run.id)).toEqual({ b: 'ITERABLE_CONFLICT' });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['a@example.com', 'c@example.com']);
});

test('a quiet run with rejections sends nothing and goes on counting them', async () => {
  await using app = await startTestApp();
  await app.connect();
  app.iterable.forgetUsers('email', 'gone@example.com');
  const cohort = await app.addCohort('Quiet', [person('a'), person('gone'), { distinctId: 'nobody' }]);
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({
    status: 'PARTIALLY_SUCCEEDED',
    counts: { members: 3, added: 0, unchanged: 1, rejected: 2, requestsSent: 0 },
  });
  expect(await reasons(app, second.id)).toEqual({ gone: 'ITERABLE_FORGOTTEN', nobody: 'MISSING_EMAIL' });
});

describe('somebody whom Iterable refused', () => {
  const off = { DRIFT_CHECK_INTERVAL: 'off', REJECTED_RETRY_INTERVAL: '24h' };

  test('is tried again once the interval is over, not before', async () => {
    await using app = await startTestApp({ env: off });
    await app.connect();
    const cohort = await app.addCohort('Refused', [person('a'), person('clash')]);
    app.iterable.settings.refusals = [{ identifier: 'clash@example.com', bucket: 'conflict' }];
    const first = await app.syncToEnd(cohort.id);
    app.clock.advance({ hours: 23 });
    const early = await app.runToEnd(first.exportId);
    expect(early.counts).toMatchObject({ rejected: 1, requestsSent: 0 });
    app.clock.advance({ hours: 1 });
    app.sandbox.calls.clear();
    const again = await app.runToEnd(first.exportId);
    expect(again.counts).toMatchObject({ members: 2, unchanged: 1, rejected: 1 });
    expect(app.sandbox.calls.of('iterable.subscribe').map((call) => call.subscribers)).toEqual([
      [{ email: 'clash@example.com' }],
    ]);
    const quiet = await app.runToEnd(first.exportId);
    expect(quiet.counts).toMatchObject({ rejected: 1, requestsSent: 0 });
  });

  test('is added when Iterable takes them at last', async () => {
    await using app = await startTestApp({ env: off });
    await app.connect();
    const cohort = await app.addCohort('Refused', [person('a'), person('clash')]);
    app.iterable.settings.refusals = [{ identifier: 'clash@example.com', bucket: 'conflict' }];
    const first = await app.syncToEnd(cohort.id);
    app.iterable.settings.refusals = [];
    app.clock.advance({ hours: 24 });
    const second = await app.runToEnd(first.exportId);
    expect(second).toMatchObject({ status: 'SUCCEEDED', counts: { added: 1, unchanged: 1, rejected: 0 } });
    expect(await reasons(app, second.id)).toEqual({});
    expect(await reasons(app, first.id)).toEqual({ clash: 'ITERABLE_CONFLICT' });
  });

  test('as forgotten or invalid is tried again only when they change', async () => {
    await using app = await startTestApp({ env: off });
    await app.connect();
    app.iterable.forgetUsers('email', 'gone@example.com');
    // Good enough for us, but Iterable wants a top-level domain of two letters.
    const odd = { distinctId: 'odd', properties: { $email: 'odd@example.c' } };
    const cohort = await app.addCohort('Refused', [person('a'), person('gone'), odd]);
    const first = await app.syncToEnd(cohort.id);
    expect(await reasons(app, first.id)).toEqual({ gone: 'ITERABLE_FORGOTTEN', odd: 'ITERABLE_INVALID' });
    app.clock.advance({ hours: 100 });
    const later = await app.runToEnd(first.exportId);
    expect(later.counts).toMatchObject({ rejected: 2, requestsSent: 0 });
    app.mixpanel.setMembers(cohort.externalId, [
      person('a'),
      person('gone', { $email: 'back@example.com' }),
      person('odd', { $email: 'odd@example.com' }),
    ]);
    const changed = await app.runToEnd(first.exportId);
    expect(changed).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2, unchanged: 1, rejected: 0 } });
  });

  test('and leaves the cohort is no longer counted', async () => {
    await using app = await startTestApp({ env: off });
    await app.connect();
    app.iterable.forgetUsers('email', 'gone@example.com');
    const cohort = await app.addCohort('Refused', [person('a'), person('gone')]);
    const first = await app.syncToEnd(cohort.id);
    app.mixpanel.setMembers(cohort.externalId, [person('a')]);
    const second = await app.runToEnd(first.exportId);
    expect(second).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 1, unchanged: 1, removed: 0, rejected: 0, requestsSent: 0 },
    });
  });
});

test('whom Iterable does not know any more when they leave counts as removed', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Leaving', [person('a'), person('lost')]);
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.iterable.settings.refusals = [{ identifier: 'lost@example.com', bucket: 'notFound' }];
  app.mixpanel.setMembers(cohort.externalId, [person('a')]);
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({ status: 'SUCCEEDED', counts: { members: 1, unchanged: 1, removed: 1 } });
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ removed: 0, requestsSent: 0 });
});

test('the size of the list is counted again when Iterable has refused a removal', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.iterable.settings.refusals.push({ identifier: 'b@example.com', bucket: 'conflict' });
  app.mixpanel.setMembers(cohort.externalId, [person('a'), person('c')]);
  await app.runToEnd(first.exportId);
  const { export: exported } = await app.api.query('query ($id: ID!) { export(id: $id) { listSize } }', {
    id: first.exportId,
  });
  expect(exported.listSize).toBe(3);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(3);
});
