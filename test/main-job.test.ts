import { expect, test } from 'vitest';
import { person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

test('a cohort reaches its list, and the counts add up', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b'), { distinctId: 'c' }]);
  const run = await app.syncToEnd(cohort.id);
  expect(run.status).toBe('PARTIALLY_SUCCEEDED');
  expect(run.counts).toMatchObject({
    members: 3,
    added: 2,
    unchanged: 0,
    removed: 0,
    rejected: 1,
    notProcessed: 0,
  });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['a@example.com', 'b@example.com']);
  expect(app.sandbox.calls.complaints).toEqual([]);
});

test('a dynamic export runs again fifteen minutes later and follows the cohort', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [person('b'), person('c')]);
  app.clock.advance({ minutes: 15 });
  const second = await app.untilRuns(first.exportId, 2);
  expect(second).toMatchObject({ status: 'SUCCEEDED', trigger: 'SCHEDULED' });
  expect(second.counts).toMatchObject({ members: 2, added: 1, unchanged: 1, removed: 1 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['b@example.com', 'c@example.com']);
});

test('an unchanged cohort sends nothing', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.sandbox.calls.clear();
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ members: 2, added: 0, unchanged: 2, requestsSent: 0 });
  expect(app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable'))).toEqual([]);
});
