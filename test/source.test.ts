import { describe, expect, test } from 'vitest';
import type { Fault } from '../sandbox/faults.ts';
import type { Member } from '../sandbox/mixpanel/project.ts';
import { checkOutcome } from './support/check-run.ts';
import { people, person } from './support/people.ts';
import { type RunSnapshot, startTestApp, type TestApp } from './support/test-app.ts';

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
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.mixpanel.setMembers(cohort.externalId, people(25));
  app.sandbox.calls.clear();
  if (fault) app.sandbox.faults.add({ operation: 'mixpanel.engage', ...fault });
  const run = await app.runToEnd(first.exportId);
  await checkOutcome(app, run, cohort.listName);
  return { run, cohort, exportId: first.exportId };
}

/** The run failed before it asked Iterable anything, and claims nothing. */
async function checkNothingChanged(app: TestApp, run: RunSnapshot, listName: string) {
  expect(run).toMatchObject({
    status: 'FAILED',
    notices: [],
    counts: { members: 0, added: 0, unchanged: 0, removed: 0, rejected: 0, requestsSent: 0 },
  });
  expect(app.iterable.membersOf(listName)).toEqual(['p0@example.com', 'p1@example.com']);
  expect(callsOfIterable(app)).toEqual([]);
}

/** What was wrong is over: the next run is as if nothing had been. */
async function checkHealed(app: TestApp, exportId: string, listName: string) {
  const next = await app.runToEnd(exportId);
  expect(next).toMatchObject({
    status: 'SUCCEEDED',
    error: null,
    counts: { members: 25, added: 23, unchanged: 2, removed: 0 },
  });
  await checkOutcome(app, next, listName);
  expect(await attentionOf(app)).toEqual({ status: 'CONNECTED', attention: null });
}

const callsOfIterable = (app: TestApp) =>
  app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable'));

const attentionOf = async (app: TestApp) =>
  (await app.api.query('{ mixpanel { status attention } }')).mixpanel;

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
  // Nobody is answered before five are there.
  const five = Promise.withResolvers<void>();
  let held = 0;
  const hold = () => {
    if (++held === 5) five.resolve();
    return five.promise;
  };
  const { run } = await readThrough(app, { skip: 1, hold });
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
    const { run } = await readThrough(app, fault);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      notices: [],
      counts: { members: 25, added: 23, unchanged: 2, removed: 0 },
    });
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
});

describe('a read that is not whole changes nothing, says what to do, and the next run makes up for it', () => {
  test.each<{
    title: string;
    fault: Omit<Fault, 'operation'>;
    code: string;
    text: RegExp;
    /** Of engage, the refused ones included. */
    requests: number;
    needsAttention?: boolean;
  }>([
    {
      title: 'when the session is lost twice',
      fault: { page: 4, reply: sessionLost, times: 2 },
      code: 'SOURCE_INCOMPLETE',
      text: /lost the session of the query, 2 times\. Nothing was changed; the next run reads it again\.$/,
      requests: 18,
    },
    {
      title: 'when Mixpanel is down',
      fault: { reply: refusal(503, 'x') },
      code: 'SOURCE_UNAVAILABLE',
      text: /answered 503 \(x\)\. The next run tries again\.$/,
      requests: 10,
    },
    {
      title: 'when an answer is of another kind',
      fault: { reply: { status: 200, body: { results: {} } } },
      code: 'SOURCE_UNAVAILABLE',
      text: /results is no array\. The next run tries again\.$/,
      requests: 1,
    },
    {
      title: 'when Mixpanel goes down in the middle',
      fault: { page: 3, reply: refusal(503, 'x') },
      code: 'SOURCE_INCOMPLETE',
      text: /broke off at page 3: Mixpanel answered 503 \(x\)\. Nothing was changed; the next run/,
      requests: 18,
    },
    {
      title: 'when an answer in the middle is of another kind',
      fault: { page: 3, reply: { status: 200, body: { results: {} } } },
      code: 'SOURCE_INCOMPLETE',
      text: /broke off at page 3: .*results is no array\. Nothing was changed; the next run/,
      requests: 9,
    },
    {
      title: 'when too many ask at once, for longer than is waited',
      fault: { page: 3, reply: tooMany('6/5', '9/60') },
      code: 'SOURCE_QUOTA_EXHAUSTED',
      text: /6\/5 queries running concurrently.*the next run tries again\.$/,
      requests: 9,
    },
    {
      title: 'when the service account is refused with a 400',
      fault: { page: 0, reply: refusal(400, 'Unable to authenticate request') },
      code: 'SOURCE_UNAUTHORIZED',
      text: /Unable to authenticate.*Connect Mixpanel again with a service account that may read/,
      requests: 1,
      needsAttention: true,
    },
    {
      title: 'when the project is not accessible',
      fault: { reply: refusal(403, 'Forbidden') },
      code: 'SOURCE_UNAUTHORIZED',
      text: /403 \(Forbidden\)\. Connect Mixpanel again with a service account that may read/,
      requests: 1,
      needsAttention: true,
    },
    {
      title: 'when the plan has no API',
      fault: { reply: refusal(402, 'Your plan does not allow API calls.') },
      code: 'SOURCE_UNAUTHORIZED',
      text: /402 \(Your plan does not allow API calls\.\)\. .*needs a paid plan/,
      requests: 1,
      needsAttention: true,
    },
    {
      title: 'when the plan is not paid any more by the middle',
      fault: { page: 3, reply: refusal(402, '') },
      code: 'SOURCE_UNAUTHORIZED',
      text: /^Mixpanel answered 402.*needs a paid plan/,
      requests: 9,
      needsAttention: true,
    },
    {
      title: 'when the query is refused of a cohort that is listed',
      fault: { reply: refusal(400, 'cohort not found') },
      code: 'SOURCE_UNAVAILABLE',
      text: /which it lists: Mixpanel answered 400 \(cohort not found\)\. The list stays as it is/,
      requests: 1,
    },
  ])('$title', async ({ fault, code, text, requests, needsAttention = false }) => {
    await using app = await startTestApp({ ...paged, env: { PARTNER_RETRY_BUDGET: '1s' } });
    const { run, cohort, exportId } = await readThrough(app, fault);
    await checkNothingChanged(app, run, cohort.listName);
    expect(run.error).toEqual({
      code,
      message: expect.stringMatching(text),
      retryable: code !== 'SOURCE_UNAUTHORIZED' && code !== 'COHORT_NOT_FOUND',
    });
    expect(pagesRead(app).length).toBeLessThanOrEqual(requests);
    expect(await attentionOf(app)).toEqual(
      needsAttention
        ? { status: 'NEEDS_ATTENTION', attention: run.error?.message }
        : { status: 'CONNECTED', attention: null },
    );
    app.sandbox.faults.clear();
    await checkHealed(app, exportId, cohort.listName);
  });

  test.each<{ title: string; fault: Omit<Fault, 'operation'> }>([
    { title: 'with a connection that drops', fault: { drop: 'middle' } },
    { title: 'with a connection that is refused an answer', fault: { drop: 'before' } },
    { title: 'with pages of a proxy', fault: { reply: { status: 200, body: '<html>' } } },
  ])('when the read breaks off at page 37 $title', async ({ fault }) => {
    await using app = await startTestApp({
      mixpanel: { defaultPageSize: 3 },
      env: { PARTNER_RETRY_BUDGET: '1s' },
    });
    await app.connect();
    const cohort = await app.addCohort('Long', people(120));
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    // Half of them leave: whoever took the pages up to 37 for the cohort would remove others as well.
    const stayers = people(240).slice(60);
    app.mixpanel.setMembers(cohort.externalId, stayers);
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 37, ...fault });
    app.sandbox.calls.clear();
    const run = await app.runToEnd(first.exportId);
    expect(run).toMatchObject({
      status: 'FAILED',
      notices: [],
      counts: { members: 0, added: 0, removed: 0, requestsSent: 0 },
      error: { code: 'SOURCE_INCOMPLETE', retryable: true },
    });
    expect(run.error?.message).toMatch(
      /^The read of the cohort broke off at page 37: .*Nothing was changed; the next run reads it again\.$/,
    );
    await checkOutcome(app, run, cohort.listName);
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(120);
    expect(callsOfIterable(app)).toEqual([]);
    // One counted query; pages of the same session that were on their way, and the tries at the one that broke.
    expect(pagesRead(app).filter((page) => page === 0)).toHaveLength(1);
    expect(Math.max(...pagesRead(app).map(Number))).toBeLessThan(60);
    app.sandbox.faults.clear();
    const next = await app.runToEnd(first.exportId);
    expect(next).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 180, added: 120, unchanged: 60, removed: 60 },
    });
    await checkOutcome(app, next, cohort.listName);
  });

  test('when fewer people come than there are, twice', async () => {
    await using app = await startTestApp(paged);
    await app.connect();
    const cohort = await app.addCohort('Short', people(7));
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.mixpanel.settings.totalError = 1;
    app.mixpanel.setMembers(cohort.externalId, people(3));
    app.sandbox.calls.clear();
    const run = await app.runToEnd(first.exportId);
    expect(run.error).toEqual({
      code: 'SOURCE_INCOMPLETE',
      message:
        'The cohort could not be read whole: the source says that the cohort has 4 people and gave 3, 2 times. Nothing was changed; the next run reads it again.',
      retryable: true,
    });
    expect(pagesRead(app).filter((page) => page === 0)).toHaveLength(2);
    expect(pagesRead(app).length).toBeLessThanOrEqual(6);
    expect(callsOfIterable(app)).toEqual([]);
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(7);
    await checkOutcome(app, run, cohort.listName);
    app.mixpanel.settings.totalError = 0;
    const next = await app.runToEnd(first.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, unchanged: 3, removed: 4 } });
    await checkOutcome(app, next, cohort.listName);
  });

  test('when the service account is revoked between two pages', async () => {
    await using app = await startTestApp(paged);
    await app.connect();
    const cohort = await app.addCohort('Revoked', people(2));
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.mixpanel.setMembers(cohort.externalId, people(60, 'new'));
    app.sandbox.calls.clear();
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 7, delayMs: 300 });
    const runId = await app.runExport(first.exportId);
    await app.sandbox.calls.until((calls) => calls.some((call) => call.page === 6));
    for (const username of app.mixpanel.accounts.keys()) app.mixpanel.revokeServiceAccount(username);
    const run = await app.untilOver(runId);
    await checkNothingChanged(app, run, cohort.listName);
    expect(run.error).toMatchObject({ code: 'SOURCE_UNAUTHORIZED', retryable: false });
    expect(run.error?.message).toMatch(/Connect Mixpanel again/);
    expect(await attentionOf(app)).toEqual({ status: 'NEEDS_ATTENTION', attention: run.error?.message });
    // Those on their way were refused as well; nothing was asked after that.
    expect(app.sandbox.calls.all.filter((call) => call.status === 401).length).toBeLessThanOrEqual(5);
    await app.connectMixpanel({ idMerge: 'ORIGINAL' });
    expect(await attentionOf(app)).toEqual({ status: 'CONNECTED', attention: null });
    const next = await app.runToEnd(first.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 60, added: 60, removed: 2 } });
    await checkOutcome(app, next, cohort.listName);
  });
});

describe('a cohort that changes while it is read', () => {
  const moving = { mixpanel: { defaultPageSize: 3, keepsSnapshots: false } };

  /** A list of so many people whose cohort becomes another one between its third and its fourth page, the last. */
  async function changeWhileReading(app: TestApp, count: number, becomes: Member[]) {
    await app.connect();
    const cohort = await app.addCohort('Moving', people(count));
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 3, delayMs: 500, times: 1 });
    app.sandbox.calls.clear();
    const runId = await app.runExport(first.exportId);
    await app.sandbox.calls.until((calls) => calls.some((call) => call.page === 2));
    app.mixpanel.setMembers(cohort.externalId, becomes);
    const run = await app.untilOver(runId);
    await checkOutcome(app, run, cohort.listName);
    const reads = pagesRead(app).filter((page) => page === 0).length;
    return { run, reads, exportId: first.exportId, onList: app.iterable.membersOf(cohort.listName) };
  }

  test('by newcomers at its end is read whole, the newcomers too', async () => {
    await using app = await startTestApp(moving);
    const { run, reads, onList } = await changeWhileReading(app, 10, people(16));
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 6, unchanged: 10, removed: 0 } });
    expect({ reads, onList: onList.length }).toEqual({ reads: 1, onList: 16 });
  });

  test('by newcomers on pages that nobody expected loses nobody, and the next run adds them', async () => {
    await using app = await startTestApp(moving);
    const { run, reads, exportId } = await changeWhileReading(app, 12, people(16));
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 12, unchanged: 12, removed: 0 } });
    expect(reads).toBe(1);
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ members: 16, added: 4, unchanged: 12 });
  });

  test('by a newcomer at its beginning is read again, because the last person has moved out of sight', async () => {
    await using app = await startTestApp(moving);
    const { run, reads, onList } = await changeWhileReading(app, 12, [person('new'), ...people(12)]);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 13, added: 1, removed: 0 } });
    expect({ reads, onList: onList.length }).toEqual({ reads: 2, onList: 13 });
  });

  test('by somebody who leaves is read again, and only they are removed', async () => {
    await using app = await startTestApp(moving);
    const { run, reads, onList } = await changeWhileReading(app, 12, people(12).slice(1));
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 11, unchanged: 11, removed: 1 } });
    expect({ reads, onList: onList.length }).toEqual({ reads: 2, onList: 11 });
  });

  test('by being emptied is read again', async () => {
    await using app = await startTestApp(moving);
    const { run, reads } = await changeWhileReading(app, 12, []);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 0, removed: 12 } });
    expect(reads).toBe(2);
  });

  test('goes on as it was when Mixpanel keeps it for the session, also when it is deleted', async () => {
    await using app = await startTestApp(paged);
    await app.connect();
    const cohort = await app.addCohort('Kept', people(10));
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 3, delayMs: 500, times: 1 });
    const { runId } = await app.startSync(cohort.id);
    await app.sandbox.calls.until((calls) => calls.some((call) => call.page === 2));
    app.mixpanel.deleteCohort(cohort.externalId);
    const run = await app.untilOver(runId);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 10, added: 10 } });
    await checkOutcome(app, run, cohort.listName);
  });
});

describe('somebody who comes more than once counts once, as they came first', () => {
  const as = (email: string) => person('a', { $email: `${email}@example.com` });

  /** An export of a cohort with these rows, two on a page. */
  async function start(rows: Member[], onList: Member[] = []) {
    const app = await startTestApp({ mixpanel: { defaultPageSize: 2 } });
    await app.connect();
    const cohort = await app.addCohort('Twice', onList);
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.mixpanel.setMembers(cohort.externalId, rows);
    // Mixpanel counts people, not rows.
    app.mixpanel.settings.totalError = new Set(rows.map((row) => row.distinctId)).size - rows.length;
    return {
      app,
      async run() {
        app.sandbox.calls.clear();
        const run = await app.runToEnd(first.exportId);
        await checkOutcome(app, run, cohort.listName);
        const pages = Array.from({ length: Math.ceil(rows.length / 2) }, (_, page) => page);
        expect(pagesRead(app)).toEqual(expect.arrayContaining(pages));
        return { run, onList: app.iterable.membersOf(cohort.listName) };
      },
      [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
    };
  }

  test.each([
    { title: 'twice on a page', rows: [as('first'), as('second'), person('b'), person('c')] },
    { title: 'on two pages', rows: [as('first'), person('b'), as('second'), person('c')] },
    {
      title: 'three times, and somebody else twice',
      rows: [as('first'), person('b'), as('second'), person('b'), as('third'), person('c'), person('d')],
    },
    { title: 'with the e-mail of somebody else', rows: [as('first'), person('b'), person('c'), as('b')] },
  ])('$title', async ({ rows }) => {
    await using world = await start(rows);
    const { run, onList } = await world.run();
    const others = [...new Set(rows.map((row) => row.distinctId))].filter((id) => id !== 'a');
    const everybody = [...others.map((id) => `${id}@example.com`), 'first@example.com'];
    const count = everybody.length;
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: count, added: count, rejected: 0 } });
    expect(onList).toEqual(everybody);
    // And stays so: nothing is to be done.
    expect((await world.run()).run.counts).toMatchObject({ unchanged: count, requestsSent: 0 });
  });

  test.each([
    { title: 'the first comes last', slow: [2, 3, 1] },
    { title: 'the second comes last', slow: [1, 3, 2] },
    { title: 'the third comes first', slow: [3, 1, 2] },
    { title: 'backwards', slow: [3, 2, 1] },
  ])('whatever the order in which the pages come: $title', async ({ slow }) => {
    const rows = [
      ...[person('b'), person('c')],
      ...[as('first'), person('d')],
      ...[as('second'), person('e')],
      ...[as('third'), person('f'), person('g')],
    ];
    await using world = await start(rows);
    slow.forEach((page, index) => {
      world.app.sandbox.faults.add({ operation: 'mixpanel.engage', page, delayMs: 400 * index });
    });
    const { run, onList } = await world.run();
    expect(pagesRead(world.app).filter((page) => slow.includes(Number(page)))).toEqual(slow);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 7, added: 7, rejected: 0 } });
    expect(onList.filter((email) => !/^[b-g]@/.test(email))).toEqual(['first@example.com']);
  });

  const twice = [as('first'), person('b'), as('second'), person('c')];

  test('the e-mail on the list is the one that counts: nothing is sent', async () => {
    await using world = await start(twice, [as('first'), person('b'), person('c')]);
    const { run } = await world.run();
    expect(run.counts).toMatchObject({ members: 3, unchanged: 3, requestsSent: 0 });
  });

  test('the e-mail on the list is the other one: it leaves, and the one that counts comes', async () => {
    await using world = await start(twice, [as('second'), person('b')]);
    const { run, onList } = await world.run();
    expect(run.counts).toMatchObject({ members: 3, added: 2, unchanged: 1, removed: 1 });
    expect(onList).toEqual(['b@example.com', 'c@example.com', 'first@example.com']);
    const ofThem = (await world.app.readLedger(run.id)).filter((one) => one.distinctId === 'a');
    expect(ofThem.map((one) => [one.email, one.outcome])).toEqual([
      ['first@example.com', 'ADDED'],
      ['second@example.com', 'REMOVED'],
    ]);
  });

  test('and when Mixpanel counts rows, the read is taken for one that came up short', async () => {
    await using world = await start(twice, [person('b')]);
    world.app.mixpanel.settings.totalError = 0;
    const { run, onList } = await world.run();
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'SOURCE_INCOMPLETE' } });
    expect(run.error?.message).toContain('has 4 people and gave 3, 2 times');
    expect(onList).toEqual(['b@example.com']);
  });

  test('and when nobody has an identity as they came first, the list is not emptied', async () => {
    const rows = [{ distinctId: 'a' }, { distinctId: 'b' }, { distinctId: 'c' }, as('late')];
    await using world = await start(rows, [as('first')]);
    const { run, onList } = await world.run();
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'NO_MEMBER_HAS_IDENTITY' } });
    expect(onList).toEqual(['first@example.com']);
  });
});

test('a cohort that was deleted in Mixpanel fails the run, its list stays, and goes on once the cohort is back', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Deleted', people(2));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const deleted = app.mixpanel.cohorts.get(cohort.externalId)!;
  app.mixpanel.deleteCohort(cohort.externalId);
  const unknown = await app.runToEnd(first.exportId);
  expect(unknown).toMatchObject({ status: 'FAILED', error: { code: 'COHORT_NOT_FOUND', retryable: false } });
  expect(unknown.error?.message).toMatch(/probably deleted in Mixpanel; the list stays as it is/);
  await app.api.query('mutation { refreshCohorts { id } }');
  app.sandbox.calls.clear();
  const vanished = await app.runToEnd(first.exportId);
  expect(vanished.error).toMatchObject({ code: 'COHORT_NOT_FOUND', retryable: false });
  expect(vanished.error?.message).toMatch(/stop the export, or restore the cohort/);
  expect(app.sandbox.calls.all).toEqual([]);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
  expect(await attentionOf(app)).toEqual({ status: 'CONNECTED', attention: null });

  app.mixpanel.addCohort({ ...deleted, members: people(3) });
  await app.api.query('mutation { refreshCohorts { id } }');
  const back = await app.runToEnd(first.exportId);
  expect(back).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 1, unchanged: 2 } });
  await checkOutcome(app, back, cohort.listName);
});
