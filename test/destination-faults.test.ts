import { describe, expect, test } from 'vitest';
import { checkOutcome } from './support/check-run.ts';
import { people } from './support/people.ts';
import { type RunSnapshot, startTestApp, type TestApp, type TestAppOptions } from './support/test-app.ts';

const BATCH_SIZE = 5;
const emails = (prefix: string, count = 20) =>
  people(count, prefix)
    .map((one) => String(one.properties?.$email))
    .sort();

interface Swap {
  cohort: { listName: string; externalId: number };
  exportId: string;
  /** Runs the export and checks what it says of itself against the list. */
  run(): Promise<RunSnapshot>;
  /** Checks that the next run brings the list to what the cohort is, and the one after it finds nothing to do. */
  checkHealed(counts: Partial<RunSnapshot['counts']>): Promise<RunSnapshot>;
}

/** Ten stay, twenty leave and twenty come, in batches of five: four of removals, then four of additions. */
async function startSwap(app: TestApp): Promise<Swap> {
  await app.connect();
  const cohort = await app.addCohort('Swap', [...people(10, 'stay'), ...people(20, 'old')]);
  const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.mixpanel.setMembers(cohort.externalId, [...people(10, 'stay'), ...people(20, 'new')]);
  app.sandbox.calls.clear();
  const swap: Swap = {
    cohort,
    exportId,
    async run() {
      const run = await app.runToEnd(exportId);
      await checkOutcome(app, run, cohort.listName);
      return run;
    },
    async checkHealed(counts) {
      const healed = await swap.run();
      expect(healed).toMatchObject({ status: 'SUCCEEDED', error: null, counts: { members: 30, ...counts } });
      expect(app.iterable.membersOf(cohort.listName)).toEqual(
        [...emails('stay', 10), ...emails('new')].sort(),
      );
      expect((await swap.run()).counts).toMatchObject({ members: 30, unchanged: 30, requestsSent: 0 });
      return healed;
    },
  };
  return swap;
}

const options = (given: TestAppOptions['env'] = {}): TestAppOptions => ({
  env: {
    ITERABLE_BATCH_SIZE: String(BATCH_SIZE),
    ITERABLE_CONCURRENCY: '2',
    // The list is to be what the runs made of it, not what a comparison repaired.
    DRIFT_CHECK_INTERVAL: 'off',
    ...given,
  },
});

/** Writes that Iterable took, by the people in them. */
const appliedTo = (app: TestApp, operation: 'subscribe' | 'unsubscribe') =>
  app.sandbox.calls
    .of(`iterable.${operation}`)
    .filter((call) => call.status === 200)
    .flatMap((call) => call.subscribers ?? [])
    .map((one) => one.email);

const untilCalls = (app: TestApp, operation: string, count: number) =>
  app.sandbox.calls.until((calls) => calls.filter((call) => call.operation === operation).length >= count);

const serverError = { status: 500, body: { msg: 'Please try again later', code: 'GenericError' } };

describe('server errors for a while', () => {
  test('are waited out: each person is moved once, and the run tells nothing else', async () => {
    await using app = await startTestApp(options({ PARTNER_RETRY_BUDGET: '60s' }));
    const swap = await startSwap(app);
    // The second half of the removals and the first of the additions.
    app.sandbox.faults.add({ operation: 'iterable.unsubscribe', skip: 2, reply: serverError, times: 5 });
    app.sandbox.faults.add({ operation: 'iterable.subscribe', reply: serverError, times: 5 });
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      notices: [],
      counts: { members: 30, added: 20, unchanged: 10, removed: 20 },
    });
    expect(appliedTo(app, 'unsubscribe').sort()).toEqual(emails('old'));
    expect(appliedTo(app, 'subscribe').sort()).toEqual(emails('new'));
    const writes = app.sandbox.calls.all.filter((call) => call.operation.endsWith('subscribe'));
    expect(writes).toHaveLength(4 + 5 + 4 + 5);
  });

  test('that outlast the patience fail the run with what was done until then, and the next run does the rest', async () => {
    await using app = await startTestApp(options({ PARTNER_RETRY_BUDGET: '2s' }));
    const swap = await startSwap(app);
    app.sandbox.faults.add({ operation: 'iterable.subscribe', skip: 2, reply: serverError });
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'FAILED',
      notices: [],
      counts: { members: 30, added: 10, unchanged: 10, removed: 20, notProcessed: 10 },
      error: {
        code: 'DESTINATION_UNAVAILABLE',
        message:
          'Iterable could not be reached in time: Iterable answered 500 (Please try again later). The next run tries again.',
        retryable: true,
      },
    });
    // Two at a time, and ever longer between two tries.
    expect(app.sandbox.calls.of('iterable.subscribe').length).toBeLessThan(2 + 2 * 12);
    app.sandbox.faults.clear();
    await swap.checkHealed({ added: 10, unchanged: 20, removed: 0 });
  });

  test('heal by themselves at the next tick of a dynamic export', async () => {
    await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '0s' } });
    await app.connect();
    const cohort = await app.addCohort('Ticking', people(3));
    app.sandbox.faults.add({ operation: 'iterable', reply: serverError });
    const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
    expect(first).toMatchObject({
      status: 'FAILED',
      counts: { members: 0, added: 0, requestsSent: 1 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: true },
    });
    app.sandbox.faults.clear();
    app.clock.advance({ minutes: 15 });
    const next = await app.untilRuns(first.exportId, 2);
    expect(next).toMatchObject({ status: 'SUCCEEDED', trigger: 'SCHEDULED', counts: { added: 3 } });
    await checkOutcome(app, next, cohort.listName);
  });
});

describe('a connection that is reset once the request was applied', () => {
  test('is no loss and no second claim: the batch is sent again and counted once', async () => {
    await using app = await startTestApp(options());
    const swap = await startSwap(app);
    for (const operation of ['iterable.unsubscribe', 'iterable.subscribe']) {
      app.sandbox.faults.add({ operation, skip: 1, drop: 'after', times: 2 });
    }
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 30, added: 20, unchanged: 10, removed: 20 },
    });
    expect(app.sandbox.calls.of('iterable.unsubscribe')).toHaveLength(4 + 2);
    expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(4 + 2);
  });

  test('every time leaves removals unclaimed until the next run has an answer', async () => {
    await using app = await startTestApp(options({ PARTNER_RETRY_BUDGET: '0s', ITERABLE_CONCURRENCY: '1' }));
    const swap = await startSwap(app);
    app.sandbox.faults.add({ operation: 'iterable.unsubscribe', skip: 1, drop: 'after' });
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { members: 30, added: 0, unchanged: 10, removed: 5, notProcessed: 20 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: true },
    });
    expect(run.error?.message).toMatch(/the connection failed.*The next run tries again\.$/);
    expect(app.iterable.membersOf(swap.cohort.listName)).toHaveLength(30 - 10);
    app.sandbox.faults.clear();
    await swap.checkHealed({ added: 20, unchanged: 10, removed: 15 });
  });

  test('and somebody whose removal was left in doubt comes back: they are put on the list again', async () => {
    await using app = await startTestApp(options({ PARTNER_RETRY_BUDGET: '0s', ITERABLE_BATCH_SIZE: '100' }));
    const swap = await startSwap(app);
    app.sandbox.faults.add({ operation: 'iterable.unsubscribe', drop: 'after' });
    expect(await swap.run()).toMatchObject({ status: 'FAILED', counts: { removed: 0 } });
    app.sandbox.faults.clear();
    const everybody = [...people(10, 'stay'), ...people(20, 'old')];
    app.mixpanel.setMembers(swap.cohort.externalId, everybody);
    const next = await swap.run();
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 30, removed: 0, rejected: 0 } });
    expect(app.iterable.membersOf(swap.cohort.listName)).toHaveLength(30);
  });
});

describe('an HTML page that says 404', () => {
  const reply = {
    status: 404,
    body: '<!DOCTYPE html><html><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>',
    headers: { 'content-type': 'text/html' },
  };

  test.each([
    { operation: 'iterable.subscribe', counts: { added: 10, removed: 20, notProcessed: 10 } },
    { operation: 'iterable.unsubscribe', counts: { added: 0, removed: 10, notProcessed: 20 } },
  ])('to $operation ends the run at once, in words, and the next run does the rest', async (given) => {
    await using app = await startTestApp(options());
    const swap = await startSwap(app);
    app.sandbox.faults.add({ operation: given.operation, skip: 2, reply, times: 2 });
    const run = await swap.run();
    expect(run).toMatchObject({ status: 'FAILED', counts: given.counts });
    expect(run.error).toMatchObject({ code: 'DESTINATION_UNAVAILABLE', retryable: false });
    expect(run.error?.message).toMatch(
      /^Iterable refused a request: Iterable answered 404 \(Not Found Not Found\)\. Check the data center of the connection .*runExport\.$/,
    );
    // Those two that were on their way together, and none after them.
    expect(app.sandbox.calls.of(given.operation).length).toBeLessThanOrEqual(2 + 2);
    const { added, removed } = given.counts;
    // The second may not have been asked for any more.
    app.sandbox.faults.clear();
    await swap.checkHealed({ added: 20 - added, removed: 20 - removed, unchanged: 10 + added });
  });

  test('to the list of lists changes nothing', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'iterable.listLists', reply });
    const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { members: 0, requestsSent: 1 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(app.iterable.lists.size).toBe(0);
    app.sandbox.faults.clear();
    expect((await app.runToEnd(run.exportId)).counts).toMatchObject({ added: 2 });
  });
});

describe('a batch that Iterable calls too large', () => {
  test('is halved until it is not, when people leave as when they come', async () => {
    await using app = await startTestApp(options({ ITERABLE_BATCH_SIZE: '100', ITERABLE_CONCURRENCY: '1' }));
    const swap = await startSwap(app);
    app.iterable.settings.maxBatch = 6;
    const run = await swap.run();
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 20, unchanged: 10, removed: 20 } });
    for (const operation of ['iterable.unsubscribe', 'iterable.subscribe']) {
      const sizes = app.sandbox.calls.of(operation).map((call) => call.subscribers?.length);
      expect(sizes).toEqual([20, 10, 5, 5, 10, 5, 5]);
    }
  });

  test('though it is of one person ends the run in words instead of being tried for ever', async () => {
    await using app = await startTestApp(options({ ITERABLE_CONCURRENCY: '1' }));
    const swap = await startSwap(app);
    app.iterable.settings.maxBatch = 0;
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { added: 0, removed: 0, notProcessed: 20 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error?.message).toMatch(/Batch of 1 is too large\)\. Use runExport to try again/);
    const sizes = app.sandbox.calls.of('iterable.unsubscribe').map((call) => call.subscribers?.length);
    expect(sizes).toEqual([5, 3, 2, 1]);
    app.iterable.settings.maxBatch = 1000;
    await swap.checkHealed({ added: 20, removed: 20 });
  });
});

test('whom a removal fails without being named stays on the list, is not claimed, and is tried again', async () => {
  await using app = await startTestApp(options());
  const swap = await startSwap(app);
  app.iterable.settings.unnamedFailures = ['old3@example.com', 'old7@example.com', 'new5@example.com'];
  const run = await swap.run();
  expect(run.counts).toMatchObject({ members: 30, added: 19, unchanged: 10, rejected: 1, removed: 18 });
  expect(run.notices).toEqual(['Iterable refused to remove 2 people; the next run tries again.']);
  expect(await app.readLedger(run.id, { outcome: 'REJECTED' })).toMatchObject([
    { email: 'new5@example.com', reason: 'ITERABLE_UNATTRIBUTED' },
  ]);
  expect(app.iterable.membersOf(swap.cohort.listName)).toEqual(
    [
      ...emails('stay', 10),
      ...emails('new').filter((email) => email !== 'new5@example.com'),
      'old3@example.com',
      'old7@example.com',
    ].sort(),
  );
  app.iterable.settings.unnamedFailures = [];
  app.clock.advance({ hours: 24 });
  await swap.checkHealed({ added: 1, unchanged: 29, removed: 2, rejected: 0 });
});

describe('a key that is revoked in the middle of a run', () => {
  const integrationOf = async (app: TestApp) =>
    (await app.api.query('{ integration(provider: ITERABLE) { status attention } }')).integration;

  test.each([
    {
      title: 'during the removals',
      after: { operation: 'iterable.unsubscribe', count: 2 },
      counts: { added: 0, unchanged: 10, removed: 10, notProcessed: 20 },
    },
    {
      title: 'between removals and additions',
      after: { operation: 'iterable.unsubscribe', count: 4 },
      counts: { added: 0, unchanged: 10, removed: 20, notProcessed: 20 },
    },
    {
      title: 'during the additions',
      after: { operation: 'iterable.subscribe', count: 2 },
      counts: { added: 10, unchanged: 10, removed: 20, notProcessed: 10 },
    },
  ])('$title stops it at once; with a new key the next run does the rest', async ({ after, counts }) => {
    await using app = await startTestApp(options({ ITERABLE_CONCURRENCY: '1' }));
    const swap = await startSwap(app);
    const runId = await app.runExport(swap.exportId);
    await untilCalls(app, after.operation, after.count);
    for (const key of app.iterable.keys.keys()) app.iterable.revokeKey(key);
    const run = await app.untilOver(runId);
    await checkOutcome(app, run, swap.cohort.listName);
    expect(run).toMatchObject({
      status: 'FAILED',
      counts,
      error: { code: 'DESTINATION_UNAUTHORIZED', retryable: false },
    });
    expect(run.error?.message).toMatch(/Disabled API key.* Connect Iterable again with a working key\.$/);
    expect(await integrationOf(app)).toEqual({
      status: 'NEEDS_ATTENTION',
      attention: run.error?.message,
    });
    expect(app.sandbox.calls.all.filter((call) => call.status === 401)).toHaveLength(1);

    await app.connectIterable();
    expect(await integrationOf(app)).toEqual({ status: 'CONNECTED', attention: null });
    await swap.checkHealed({
      added: 20 - counts.added,
      removed: 20 - counts.removed,
      unchanged: 10 + counts.added,
    });
  });

  test('while another batch is being applied: that one still counts', async () => {
    await using app = await startTestApp(options());
    const swap = await startSwap(app);
    app.sandbox.faults.add({ operation: 'iterable.unsubscribe', delayMs: 500, times: 1 });
    app.sandbox.faults.add({
      operation: 'iterable.unsubscribe',
      reply: { status: 401, body: { msg: 'Invalid API key', code: 'BadApiKey', params: null } },
    });
    const run = await swap.run();
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { removed: 5, added: 0 },
      error: { code: 'DESTINATION_UNAUTHORIZED' },
    });
    expect(app.sandbox.calls.of('iterable.unsubscribe')).toHaveLength(2);
    app.sandbox.faults.clear();
    await app.connectIterable();
    await swap.checkHealed({ added: 20, removed: 15, unchanged: 10 });
  });
});
