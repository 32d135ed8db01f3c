import { expect, test } from 'vitest';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** An export whose list others have changed: p0 was taken off it, a stranger put on. */
async function startDrifted(app: TestApp) {
  await app.connect();
  const cohort = await app.addCohort('Drifting', people(3));
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  const list = app.iterable.list(cohort.listName)!;
  const { users } = app.iterable;
  app.iterable.setMember(list, users.find('p0@example.com')!, false);
  app.iterable.setMember(list, users.add({ email: 'stranger@example.com' }), true);
  return { cohort, exportId: first.exportId };
}

const everybody = ['p0@example.com', 'p1@example.com', 'p2@example.com'];

test('once a day the real list is read, and what others changed is repaired', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startDrifted(app);
  app.clock.advance({ hours: 23 });
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, requestsSent: 0 });
  app.clock.advance({ hours: 1 });
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 3, added: 1, unchanged: 2, removed: 1 },
    notices: [
      'Drift: people missing from the list in Iterable: 1; people on it whom no run had put there: 1.',
    ],
  });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(everybody);
  const ledger = await app.readLedger(run.id);
  expect(ledger.map((member) => [member.email, member.outcome, member.detail])).toEqual([
    ['p0@example.com', 'ADDED', 'Drift: they had gone from the list without a run, and were added again.'],
    ['stranger@example.com', 'REMOVED', 'Drift: they had been put on the list without a run.'],
  ]);
});

test('an interval of 0s compares in every run', async () => {
  await using app = await startTestApp({ env: { DRIFT_CHECK_INTERVAL: '0s' } });
  const { cohort, exportId } = await startDrifted(app);
  await app.runToEnd(exportId);
  expect(app.iterable.membersOf(cohort.listName)).toEqual(everybody);
});

test('"off" never compares', async () => {
  await using app = await startTestApp({ env: { DRIFT_CHECK_INTERVAL: 'off' } });
  const { exportId } = await startDrifted(app);
  app.clock.advance({ hours: 1000 });
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, requestsSent: 0 });
});

test('people written more recently than Iterable takes to show it are not judged', async () => {
  await using app = await startTestApp({
    env: { DRIFT_CHECK_INTERVAL: '0s', ITERABLE_VISIBILITY_DELAY: '60s' },
    iterable: { visibilityDelayMs: 50_000 },
  });
  await app.connect();
  const cohort = await app.addCohort('Recent', people(3));
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.clock.advance({ seconds: 30 });
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({ counts: { unchanged: 3, added: 0, removed: 0 }, notices: [] });
  expect(app.sandbox.calls.of('iterable.getUsers')).toHaveLength(1);
});

test('people who left more recently than Iterable takes to show it are no strangers', async () => {
  await using app = await startTestApp({
    env: { ITERABLE_VISIBILITY_DELAY: '60s' },
    iterable: { visibilityDelayMs: 50_000 },
  });
  await app.connect();
  const cohort = await app.addCohort('Recent', people(3));
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.clock.advance({ hours: 23, minutes: 59, seconds: 30 });
  app.mixpanel.setMembers(cohort.externalId, people(2));
  expect((await app.runToEnd(first.exportId)).counts).toMatchObject({ removed: 1 });
  app.clock.advance({ seconds: 30 });
  const compared = await app.runToEnd(first.exportId);
  expect(compared).toMatchObject({ counts: { unchanged: 2, added: 0, removed: 0 }, notices: [] });
  expect(app.sandbox.calls.of('iterable.getUsers')).toHaveLength(1);
});

test('a page of a proxy is not taken for people, and the list is read again', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '30s' } });
  await app.connect();
  const cohort = await app.addCohort('Adopted', people(2));
  const list = app.iterable.addList(cohort.listName);
  app.iterable.setMember(list, app.iterable.users.add({ email: 'stranger@example.com' }), true);
  app.sandbox.faults.add({
    operation: 'iterable.getUsers',
    reply: { status: 200, body: '<html>\n<body>busy@example.com</body></html>' },
    times: 1,
  });
  const run = await app.syncToEnd(cohort.id);
  expect(run.counts).toMatchObject({ added: 2, removed: 1 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['p0@example.com', 'p1@example.com']);
});

test('a list that cannot be read leaves everything as it was', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '1s' } });
  const { cohort, exportId } = await startDrifted(app);
  app.clock.advance({ hours: 24 });
  app.sandbox.faults.add({ operation: 'iterable.getUsers', drop: 'middle' });
  const before = app.iterable.membersOf(cohort.listName);
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({ status: 'FAILED', error: { code: 'DESTINATION_UNAVAILABLE' } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(before);
});

test('a line of a list that does not end is not read, and leaves everything as it was', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '1s' } });
  const { cohort, exportId } = await startDrifted(app);
  app.clock.advance({ hours: 24 });
  app.sandbox.faults.add({
    operation: 'iterable.getUsers',
    reply: { status: 200, body: `p0@example.com\n${'x'.repeat(5_000)}` },
  });
  const before = app.iterable.membersOf(cohort.listName);
  expect(await app.runToEnd(exportId)).toMatchObject({
    status: 'FAILED',
    error: {
      code: 'DESTINATION_UNAVAILABLE',
      message: expect.stringContaining('a line of more than 4096 characters in a list'),
    },
  });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(before);
});

test('in a hybrid project people are recognised by either identifier', async () => {
  await using app = await startTestApp({ iterable: { type: 'HYBRID' } });
  // Sent by e-mail, but known in Iterable by a userId as well.
  app.iterable.users.add({ email: 'mail@example.com', userId: 'hidden' });
  await app.connect();
  const cohort = await app.addCohort('Hybrid', [
    person('mail'),
    person('user', { $iterable_user_id: 'u-1' }),
  ]);
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.clock.advance({ hours: 24 });
  const run = await app.runToEnd(first.exportId);
  expect(run).toMatchObject({ counts: { members: 2, unchanged: 2, added: 0, removed: 0 }, notices: [] });
  expect(app.sandbox.calls.of('iterable.getUsers')).toHaveLength(2);
});
