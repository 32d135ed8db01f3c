import { describe, expect, test } from 'vitest';
import type { Fault } from '../sandbox/faults.ts';
import { checkOutcome } from './support/check-run.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './support/test-app.ts';

/** One export of three people during which requests meet a fault. */
async function runThrough(app: TestApp, fault: Omit<Fault, 'operation'> & { operation?: string }) {
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', ...fault });
  const startedAt = performance.now();
  const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
  return { run, cohort, durationMs: performance.now() - startedAt };
}

const html = '<!DOCTYPE html><html><body><h1>Not Found</h1></body></html>';
const rateLimited = { msg: 'Exceeded rate limit.', code: 'RateLimitExceeded' };

describe('a run goes on', () => {
  test.each<{ title: string; fault: Omit<Fault, 'operation'> }>([
    {
      title: 'after server errors',
      fault: { reply: { status: 500, body: { msg: 'x', code: 'GenericError' } }, times: 2 },
    },
    { title: 'after an error page of a proxy', fault: { reply: { status: 502, body: html }, times: 1 } },
    { title: 'after a request timed out at Iterable', fault: { reply: { status: 408 }, times: 1 } },
    {
      title: 'after a connection dropped before the request was applied',
      fault: { drop: 'before', times: 1 },
    },
    { title: 'after a connection dropped once the request was applied', fault: { drop: 'after', times: 1 } },
    { title: 'after a connection dropped in the middle of the answer', fault: { drop: 'middle', times: 1 } },
    { title: 'after an answer that is no JSON', fault: { reply: { status: 200, body: html }, times: 1 } },
    { title: 'after a slow answer', fault: { delayMs: 700, times: 1 } },
  ])('$title', async ({ fault }) => {
    await using app = await startTestApp();
    const { run, cohort } = await runThrough(app, fault);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3, notProcessed: 0 } });
    await checkOutcome(app, run, cohort.listName);
    expect(run.counts.requestsSent).toBe(
      app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable')).length - 2,
    );
  });

  test('as soon as rateLimitReset says, whatever Retry-After says', async () => {
    await using app = await startTestApp();
    const { run, durationMs } = await runThrough(app, {
      reply: {
        status: 429,
        body: { ...rateLimited, params: { rateLimitReset: 1 } },
        headers: { 'retry-after': '100' },
      },
      times: 1,
    });
    expect(run.status).toBe('SUCCEEDED');
    expect(durationMs).toBeGreaterThanOrEqual(1000);
  });

  test('as soon as Retry-After says', async () => {
    await using app = await startTestApp();
    const { run, durationMs } = await runThrough(app, {
      reply: { status: 429, body: { ...rateLimited, params: {} }, headers: { 'retry-after': '2' } },
      times: 1,
    });
    expect(run.status).toBe('SUCCEEDED');
    expect(durationMs).toBeGreaterThanOrEqual(2000);
  });
});

test('a batch that a proxy calls too large is halved', async () => {
  await using app = await startTestApp();
  const { run } = await runThrough(app, { reply: { status: 413, body: html }, times: 1 });
  expect(run.counts).toMatchObject({ members: 3, added: 3 });
  const sizes = app.sandbox.calls.of('iterable.subscribe').map((call) => call.subscribers?.length);
  expect(sizes).toEqual([3, 2, 1]);
});

describe('a run fails in words', () => {
  const impatient: TestAppOptions = { env: { PARTNER_RETRY_BUDGET: '1s' } };

  test('when what was sent was never answered, and the next run asks for it again', async () => {
    await using app = await startTestApp(impatient);
    const { run, cohort } = await runThrough(app, { drop: 'after' });
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'DESTINATION_UNAVAILABLE' } });
    app.sandbox.faults.clear();
    app.mixpanel.setMembers(cohort.externalId, people(2));
    const next = await app.runToEnd(run.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2, removed: 1 } });
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
  });

  test.each<{ title: string; fault: Omit<Fault, 'operation'> }>([
    { title: 'at an answer without counts', fault: { reply: { status: 200, body: { msg: 'ok' } } } },
    {
      title: 'at a refusal of unknown kind',
      fault: { reply: { status: 400, body: { msg: 'No', code: 'BadParams' } } },
    },
    {
      title: 'at a redirect',
      fault: { reply: { status: 302, headers: { location: 'http://127.0.0.1:1/' } } },
    },
  ])('$title, without asking again', async ({ fault }) => {
    await using app = await startTestApp();
    const { run, cohort } = await runThrough(app, fault);
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { members: 3, added: 0, notProcessed: 3 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error?.message).toMatch(/Use runExport to try again/);
    expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
    app.sandbox.faults.clear();
    const next = await app.runToEnd(run.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3 } });
    await checkOutcome(app, next, cohort.listName);
  });
});

test('an answer that counts failures which nobody had is found out by asking again', async () => {
  await using app = await startTestApp();
  const { run } = await runThrough(app, {
    reply: { status: 200, body: { successCount: 0, failCount: 3 } },
    times: 1,
  });
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3, rejected: 0 } });
});

test('names of people who are not in the batch change nothing', async () => {
  await using app = await startTestApp();
  const { run } = await runThrough(app, {
    reply: {
      status: 200,
      body: {
        successCount: 3,
        failCount: 0,
        failedUpdates: { invalidEmails: ['other@example.com'], noOpEmails: [] },
      },
    },
    times: 1,
  });
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3, rejected: 0 } });
});

test('all removals are answered before additions start', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '2', ITERABLE_CONCURRENCY: '3' } });
  await app.connect();
  const cohort = await app.addCohort('Swap', people(10, 'old'));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, people(10, 'new'));
  app.sandbox.calls.clear();
  app.sandbox.faults.add({ operation: 'iterable.unsubscribe', delayMs: 300, times: 1 });
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ added: 10, removed: 10, unchanged: 0 });
  const writes = app.sandbox.calls.all
    .map((call) => call.operation)
    .filter((operation) => operation.endsWith('subscribe'));
  expect(writes).toEqual([...Array(5).fill('iterable.unsubscribe'), ...Array(5).fill('iterable.subscribe')]);
  expect(app.sandbox.calls.complaints).toEqual([]);
});

test('somebody whom Iterable refuses to remove stays on the list, with a notice, and is tried again', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Sticky', [person('a'), person('sticky')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.iterable.settings.refusals = [{ identifier: 'sticky@example.com', bucket: 'conflict' }];
  app.mixpanel.setMembers(cohort.externalId, [person('a')]);
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ members: 1, unchanged: 1, removed: 0 });
  expect(second.notices).toEqual([expect.stringContaining('refused to remove')]);
  app.iterable.settings.refusals = [];
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ removed: 1 });
});

describe("a whole request that Iterable refuses for one person's sake is sent in parts, and the rest goes through", () => {
  test.each([
    { status: 409, code: 'Conflict', reason: 'ITERABLE_CONFLICT' },
    { status: 400, code: 'ForgottenUserError', reason: 'ITERABLE_FORGOTTEN' },
    { status: 400, code: 'InvalidEmailAddressError', reason: 'ITERABLE_INVALID' },
  ])('$code', async ({ status, code, reason }) => {
    await using app = await startTestApp();
    const reply = { status, body: { msg: 'refused', code, params: null } };
    // The whole, its first half of two, and then the first of them alone.
    const { run, cohort } = await runThrough(app, { reply, times: 3 });
    expect(run).toMatchObject({
      status: 'PARTIALLY_SUCCEEDED',
      counts: { members: 3, added: 2, rejected: 1 },
    });
    expect(await app.readLedger(run.id, { outcome: 'REJECTED' })).toMatchObject([{ reason }]);
    await checkOutcome(app, run, cohort.listName);
  });
});

test('a Retry-After of nothing is no leave to ask without a pause', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '3s' } });
  const { run } = await runThrough(app, {
    reply: {
      status: 429,
      body: { msg: 'Exceeded rate limit.', code: 'RateLimitExceeded', params: {} },
      headers: { 'retry-after': '0' },
    },
  });
  expect(run).toMatchObject({ status: 'FAILED', error: { code: 'DESTINATION_UNAVAILABLE' } });
  expect(app.sandbox.calls.of('iterable.subscribe').length).toBeLessThan(30);
});

test('control characters in the words of Iterable keep nobody from being told them', async () => {
  await using app = await startTestApp();
  const body = { msg: 'Invalid\u0000 API key', code: 'BadApiKey', params: null };
  const { run } = await runThrough(app, { reply: { status: 401, body } });
  expect(run.error).toMatchObject({ code: 'DESTINATION_UNAUTHORIZED' });
});
