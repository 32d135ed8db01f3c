import { describe, expect, test } from 'vitest';
import type { Fault } from '../sandbox/faults.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const refusal = (status: number, error: string) => ({
  status,
  body: { request: '/api/query/engage', error },
});
const sessionLost = refusal(400, 'request for page in uncached query for params');
const tooMany = (concurrent: string, hour: string) =>
  refusal(
    429,
    `Query rate limit exceeded for project_id: 1. ${concurrent} queries running concurrently and ${hour} queries running in the last hour.`,
  );

const pagesRead = (app: TestApp) => app.sandbox.calls.of('mixpanel.engage').map((call) => call.page);

/** A list of two people, and then a cohort of 25 on nine pages whose next read meets a fault. */
async function readThrough(app: TestApp, fault?: Omit<Fault, 'operation'>) {
  await app.connect();
  const cohort = await app.addCohort('Paged', people(2));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, people(25));
  app.sandbox.calls.clear();
  if (fault) app.sandbox.faults.add({ operation: 'mixpanel.engage', ...fault });
  const run = await app.runToEnd(first.exportId);
  return { run, onList: app.iterable.membersOf(cohort.listName).length, exportId: first.exportId };
}

const paged = { mixpanel: { defaultPageSize: 3 } };

test('pages are read in the size that Mixpanel gives, each once', async () => {
  await using app = await startTestApp({ mixpanel: { defaultPageSize: 3, totalOnFirstPageOnly: true } });
  const { run } = await readThrough(app);
  expect(run.counts).toMatchObject({ members: 25, added: 23, unchanged: 2 });
  expect(pagesRead(app).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test('a cohort of exactly one full page is read with one query', async () => {
  await using app = await startTestApp({ mixpanel: { defaultPageSize: 25 } });
  const { run } = await readThrough(app);
  expect(run.counts.members).toBe(25);
  expect(pagesRead(app)).toEqual([0]);
});

test('after the first page five are read at a time, never more', async () => {
  await using app = await startTestApp(paged);
  const { run } = await readThrough(app, { delayMs: 100 });
  expect(run.status).toBe('SUCCEEDED');
  expect(app.mixpanel.mostRunning).toBe(5);
});

describe('the cohort is read whole', () => {
  test.each<{ title: string; fault: Omit<Fault, 'operation'>; reads: number }>([
    { title: 'after a page broke off', fault: { page: 3, drop: 'middle', times: 1 }, reads: 1 },
    { title: 'after a page did not come', fault: { page: 3, drop: 'before', times: 1 }, reads: 1 },
    { title: 'after server errors', fault: { reply: refusal(500, 'x'), times: 2 }, reads: 1 },
    {
      title: 'after Mixpanel ran out of time',
      fault: { reply: refusal(400, 'Timeout Error.'), times: 1 },
      reads: 1,
    },
    {
      title: 'after a page that is no JSON',
      fault: { page: 2, reply: { status: 200, body: '<html>' }, times: 1 },
      reads: 1,
    },
    { title: 'after slow answers', fault: { delayMs: 300 }, reads: 1 },
    {
      title: 'after it had to wait for others',
      fault: { reply: { ...tooMany('6/5', '9/60'), headers: { 'retry-after': '1' } }, times: 1 },
      reads: 1,
    },
    { title: 'after the session was lost once', fault: { page: 4, reply: sessionLost, times: 1 }, reads: 2 },
  ])('$title', async ({ fault, reads }) => {
    await using app = await startTestApp(paged);
    const { run, onList } = await readThrough(app, fault);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 25, added: 23, unchanged: 2 } });
    expect(onList).toBe(25);
    const begun = app.sandbox.calls
      .of('mixpanel.engage')
      .filter((call) => call.page === 0 && call.status === 200);
    expect(begun).toHaveLength(reads);
  });

  test('when the first read came up short', async () => {
    await using app = await startTestApp(paged);
    const { run } = await readThrough(app, {
      page: 0,
      reply: {
        status: 200,
        body: { results: [], page: 0, session_id: '1-a', page_size: 3, total: 1, status: 'ok' },
      },
      times: 1,
    });
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 25 } });
  });

  test('though it grew between two pages', async () => {
    await using app = await startTestApp({ mixpanel: { defaultPageSize: 3, keepsSnapshots: false } });
    await app.connect();
    const cohort = await app.addCohort('Growing', people(10));
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 3, delayMs: 500 });
    const { runId } = await app.startSync(cohort.id);
    await app.sandbox.calls.until((calls) => calls.some((call) => call.page === 2));
    app.mixpanel.setMembers(cohort.externalId, people(12));
    const run = await app.untilOver(runId);
    expect(run.status).toBe('SUCCEEDED');
    expect(run.counts.members).toBeGreaterThanOrEqual(10);
  });
});

describe('a read that is not whole changes nothing', () => {
  test.each<{ title: string; fault: Omit<Fault, 'operation'>; code: string }>([
    {
      title: 'when the session is lost twice',
      fault: { page: 4, reply: sessionLost, times: 2 },
      code: 'SOURCE_INCOMPLETE',
    },
    {
      title: 'when Mixpanel is down',
      fault: { page: 3, reply: refusal(503, 'x') },
      code: 'SOURCE_UNAVAILABLE',
    },
    {
      title: 'when a page breaks off again and again',
      fault: { page: 3, drop: 'middle' },
      code: 'SOURCE_UNAVAILABLE',
    },
    {
      title: 'when the hour is used up by others',
      fault: { reply: tooMany('1/5', '61/60') },
      code: 'SOURCE_QUOTA_EXHAUSTED',
    },
    {
      title: 'when the service account is refused',
      fault: { page: 3, reply: refusal(401, 'Unable to authenticate request') },
      code: 'SOURCE_UNAUTHORIZED',
    },
    {
      title: 'when the service account is refused with a 400',
      fault: { page: 0, reply: refusal(400, 'Unable to authenticate request') },
      code: 'SOURCE_UNAUTHORIZED',
    },
    {
      title: 'when the project is not accessible',
      fault: { reply: refusal(403, 'Forbidden') },
      code: 'SOURCE_UNAUTHORIZED',
    },
    {
      title: 'when the plan has no API',
      fault: { reply: refusal(402, 'Your plan does not allow API calls.') },
      code: 'SOURCE_UNAUTHORIZED',
    },
    {
      title: 'when the cohort is not known',
      fault: { reply: refusal(400, 'cohort not found') },
      code: 'COHORT_NOT_FOUND',
    },
    {
      title: 'when an answer is of another kind',
      fault: { reply: { status: 200, body: { results: {} } } },
      code: 'SOURCE_UNAVAILABLE',
    },
  ])('$title', async ({ fault, code }) => {
    await using app = await startTestApp({ ...paged, env: { PARTNER_RETRY_BUDGET: '1s' } });
    const { run, onList } = await readThrough(app, fault);
    expect(run).toMatchObject({
      status: 'FAILED',
      phase: 'DONE',
      error: { code },
      counts: { added: 0, removed: 0 },
    });
    expect(onList).toBe(2);
    expect(app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable'))).toEqual([]);
  });

  test('when fewer people come than there are, twice', async () => {
    await using app = await startTestApp({ mixpanel: { defaultPageSize: 3 } });
    await app.connect();
    const cohort = await app.addCohort('Short', people(7));
    const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
    app.mixpanel.settings.totalError = 1;
    app.mixpanel.setMembers(cohort.externalId, people(3));
    const run = await app.runToEnd(first.exportId);
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'SOURCE_INCOMPLETE', retryable: true } });
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(7);
  });
});

test('somebody who comes twice counts once, as they came first', async () => {
  await using app = await startTestApp({ mixpanel: { totalError: -1 } });
  await app.connect();
  const cohort = await app.addCohort('Twice', [
    person('a', { $email: 'first@example.com' }),
    person('b'),
    person('a', { $email: 'second@example.com' }),
  ]);
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['b@example.com', 'first@example.com']);
});

test('a cohort that was deleted in Mixpanel fails the run, and its list stays', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Deleted', people(2));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.deleteCohort(cohort.externalId);
  const unknown = await app.runToEnd(first.exportId);
  expect(unknown).toMatchObject({ status: 'FAILED', error: { code: 'COHORT_NOT_FOUND', retryable: false } });
  await app.api.query('mutation { refreshCohorts { id } }');
  app.sandbox.calls.clear();
  const vanished = await app.runToEnd(first.exportId);
  expect(vanished.error?.code).toBe('COHORT_NOT_FOUND');
  expect(app.sandbox.calls.all).toEqual([]);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
});
