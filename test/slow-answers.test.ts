import { expect, test, vi } from 'vitest';
import { checkOutcome } from './support/check-run.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

/** A request is given up after 30 seconds, and a new list after 60: both by the clock on the wall. */
vi.setConfig({ testTimeout: 150_000 });

test.concurrent('answers that take 40 seconds are not waited for: people are moved once, and what arrives late changes nothing', async () => {
  await using app = await startTestApp({
    env: { PARTNER_RETRY_BUDGET: '60s', DRIFT_CHECK_INTERVAL: 'off' },
  });
  await app.connect();
  const cohort = await app.addCohort('Slow', [...people(3, 'stay'), ...people(3, 'old')]);
  const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.mixpanel.setMembers(cohort.externalId, [...people(3, 'stay'), ...people(3, 'new')]);
  app.sandbox.calls.clear();
  app.sandbox.faults.add({ operation: 'iterable.unsubscribe', delayMs: 40_000, times: 1 });
  const startedAt = performance.now();
  const run = await app.runToEnd(exportId);
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(30_000);
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 6, added: 3, unchanged: 3, removed: 3, requestsSent: 4 },
    notices: [],
  });
  await checkOutcome(app, run, cohort.listName);
  const onList = app.iterable.membersOf(cohort.listName);
  // The request that was given up is applied now.
  await app.sandbox.calls.until(
    (calls) => calls.filter((call) => call.operation === 'iterable.unsubscribe').length === 2,
  );
  expect(app.iterable.membersOf(cohort.listName)).toEqual(onList);
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 6, requestsSent: 0 });
});

test.concurrent('a request that is applied and never answered is given up after 30 seconds and sent again', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '60s' } });
  await app.connect();
  const cohort = await app.addCohort('Silent', people(3));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', hangAfter: true, times: 1 });
  const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3 }, notices: [] });
  await checkOutcome(app, run, cohort.listName);
  expect(app.sandbox.calls.of('iterable.subscribe').map((call) => call.status)).toEqual([0, 200]);
});

test.concurrent('an Iterable that never answers fails the run in words when the patience is used up', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '20s' } });
  await app.connect();
  const cohort = await app.addCohort('Silent', people(3));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', hangAfter: true });
  const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
  expect(run).toMatchObject({
    status: 'FAILED',
    counts: { members: 3, added: 0, notProcessed: 3 },
    error: {
      code: 'DESTINATION_UNAVAILABLE',
      message:
        'Iterable could not be reached in time: Iterable: no answer in time. The next run tries again.',
      retryable: true,
    },
  });
  await checkOutcome(app, run, cohort.listName);
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
  app.sandbox.faults.clear();
  const next = await app.runToEnd(run.exportId);
  expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3 } });
  await checkOutcome(app, next, cohort.listName);
});

test.concurrent('a new list that stays unknown is given up after a minute, though the clock is set back meanwhile', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Unknown', people(3));
  app.sandbox.faults.add({
    operation: 'iterable.subscribe',
    reply: { status: 400, body: { msg: 'error.lists.invalidListId(1)', code: 'Success', params: null } },
  });
  const { runId, exportId } = await app.startSync(cohort.id);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.subscribe'));
  app.clock.advance({ hours: -1 });
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({
    status: 'FAILED',
    counts: { members: 3, added: 0, notProcessed: 3 },
    error: { code: 'DESTINATION_LIST_GONE', retryable: true },
  });
  // About one a second.
  expect(app.sandbox.calls.of('iterable.subscribe').length).toBeLessThanOrEqual(62);
  app.sandbox.faults.clear();
  const next = await app.runToEnd(exportId);
  expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3 } });
  await checkOutcome(app, next, cohort.listName);
  expect(app.iterable.lists.size).toBe(1);
});
