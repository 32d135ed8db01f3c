import { describe, expect, test } from 'vitest';
import { checkOutcome } from './support/check-run.ts';
import { readExport } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { type RunSnapshot, startTestApp, type TestApp } from './support/test-app.ts';

/** In batches of two, one after the other; what the runs know is not repaired by a comparison. */
const slow = {
  env: { ITERABLE_BATCH_SIZE: '2', ITERABLE_CONCURRENCY: '1', DRIFT_CHECK_INTERVAL: 'off' },
};

const untilCalls = (app: TestApp, operation: string, count: number) =>
  app.sandbox.calls.until((calls) => calls.filter((call) => call.operation === operation).length >= count);

const listsOf = (app: TestApp) =>
  [...app.iterable.lists.values()].map((list) => ({ name: list.name, size: list.members.size }));

/** Everybody of the cohort is on the list of that name, it is the only one, and there is nothing left to be done. */
async function checkSettled(app: TestApp, run: RunSnapshot & { exportId?: string }, listName: string) {
  await checkOutcome(app, run, listName);
  expect(listsOf(app)).toEqual([{ name: listName, size: run.counts.members }]);
}

describe('a list that somebody deletes in the middle of a run', () => {
  test.each([
    {
      title: 'during the removals',
      after: { operation: 'iterable.unsubscribe', count: 2 },
      counts: { added: 0, removed: 4, unchanged: 4, notProcessed: 6 },
    },
    {
      title: 'between removals and additions',
      after: { operation: 'iterable.unsubscribe', count: 3 },
      counts: { added: 0, removed: 6, unchanged: 4, notProcessed: 6 },
    },
    {
      title: 'during the additions',
      after: { operation: 'iterable.subscribe', count: 1 },
      counts: { added: 2, removed: 6, unchanged: 4, notProcessed: 4 },
    },
  ])('$title fails the run at once, and the next one makes it anew', async ({ after, counts }) => {
    await using app = await startTestApp(slow);
    await app.connect();
    const cohort = await app.addCohort('Trial', [...people(4, 'stay'), ...people(6, 'old')]);
    const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.clock.advance({ minutes: 2 });
    app.mixpanel.setMembers(cohort.externalId, [...people(4, 'stay'), ...people(6, 'new')]);
    app.sandbox.calls.clear();
    const runId = await app.runExport(exportId);
    await untilCalls(app, after.operation, after.count);
    app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
    const run = await app.untilOver(runId);
    expect(run).toMatchObject({
      status: 'FAILED',
      notices: [],
      counts: { members: 10, ...counts },
      error: {
        code: 'DESTINATION_LIST_GONE',
        message:
          'The list was deleted in Iterable while the run was writing to it. The next run makes it anew.',
        retryable: true,
      },
    });
    await checkOutcome(app, run, cohort.listName);
    expect(app.sandbox.calls.all.filter((call) => call.status === 400)).toHaveLength(1);

    app.sandbox.calls.clear();
    const next = await app.runToEnd(exportId);
    expect(next).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 10, added: 10, unchanged: 0, removed: 0 },
      notices: ['The list was no longer there in Iterable; it was made anew and everybody is added again.'],
    });
    await checkSettled(app, next, cohort.listName);
    expect(app.sandbox.calls.all.filter((call) => call.status !== 200)).toEqual([]);
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 10, requestsSent: 0 });
  });

  test('heals by itself at the next tick of a dynamic export', async () => {
    await using app = await startTestApp(slow);
    await app.connect();
    const cohort = await app.addCohort('Trial', people(6));
    // The time of a new list that is not known yet is over when it is deleted.
    app.sandbox.faults.add({ operation: 'iterable.subscribe', skip: 1, delayMs: 500, times: 1 });
    const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
    await untilCalls(app, 'iterable.subscribe', 1);
    app.clock.advance({ minutes: 2 });
    app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
    expect(await app.untilOver(runId)).toMatchObject({
      status: 'FAILED',
      counts: { members: 6, added: 2, notProcessed: 4 },
      error: { code: 'DESTINATION_LIST_GONE' },
    });
    app.clock.advance({ minutes: 13 });
    const next = await app.untilRuns(exportId, 2);
    expect(next).toMatchObject({ status: 'SUCCEEDED', trigger: 'SCHEDULED', counts: { added: 6 } });
    await checkSettled(app, next, cohort.listName);
  });
});

describe('a list that somebody deleted before the run', () => {
  test('is found missing at the daily comparison when the cohort does not change, and made anew', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Quiet', people(3));
    const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
    app.clock.advance({ hours: 24 });
    const run = await app.runToEnd(exportId);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 3, added: 3, unchanged: 0, removed: 0 },
      notices: [expect.stringContaining('made anew')],
    });
    await checkSettled(app, run, cohort.listName);
  });

  test('and replaced by another of its name: that one is taken and made equal, and not called a new one', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', people(3));
    const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
    const other = app.iterable.addList(cohort.listName);
    for (const email of ['p0@example.com', 'stranger@example.com']) {
      const known = app.iterable.users.find(email) ?? app.iterable.users.add({ email });
      app.iterable.setMember(other, known, true);
    }
    app.mixpanel.setMembers(cohort.externalId, people(4));
    const run = await app.runToEnd(exportId);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 4, added: 3, unchanged: 1, removed: 1 },
    });
    expect(run.notices.join(' ')).toContain('another list of its name');
    expect(run.notices.join(' ')).not.toContain('made anew');
    expect((await readExport(app, exportId)).listId).toBe(String(other.id));
    await checkSettled(app, run, cohort.listName);
  });
});

describe('a list of our name that is of another type', () => {
  test('keeps Iterable from making ours: the run says so, writes nothing, and goes on once it is out of the way', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    const dynamic = app.iterable.addList(cohort.listName, { listType: 'Dynamic' });
    const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(run).toMatchObject({
      status: 'FAILED',
      notices: [],
      counts: { members: 0, added: 0 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error?.message).toMatch(
      /A list with this name exists.*of type Dynamic.*Rename or delete it in Iterable, then use runExport\.$/,
    );
    expect(dynamic.members.size).toBe(0);
    expect(app.sandbox.calls.of('iterable.createList')).toHaveLength(1);
    dynamic.name = 'Something else';
    const next = await app.runToEnd(run.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2 } });
    expect(dynamic.members.size).toBe(0);
    await checkOutcome(app, next, cohort.listName);
  });

  test.each(['Dynamic', 'Suppression', 'Internal'] as const)(
    'is left alone beside ours: %s',
    async (listType) => {
      await using app = await startTestApp({ iterable: { refusesDuplicateNames: false } });
      await app.connect();
      const cohort = await app.addCohort('Trial', people(2));
      const other = app.iterable.addList(cohort.listName, { listType });
      const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
      expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
      expect((await readExport(app, run.exportId)).listId).not.toBe(String(other.id));
      expect(other.members.size).toBe(0);
      await checkOutcome(app, run, cohort.listName);
    },
  );
});

describe('a name that two lists bear, one of which another export writes to', () => {
  /** The list of another export has been given the name that the cohort's list is to have. */
  async function startWithOther(app: TestApp) {
    await app.connect();
    const other = await app.addCohort('Other', people(3, 'other'));
    await app.syncToEnd(other.id, 'ONE_TIME');
    const cohort = await app.addCohort('Trial', people(2));
    const taken = app.iterable.list(other.listName)!;
    taken.name = cohort.listName;
    return { cohort, taken };
  }

  test('means the other list', async () => {
    await using app = await startTestApp();
    const { cohort, taken } = await startWithOther(app);
    const free = app.iterable.addList(cohort.listName);
    const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2, removed: 0 } });
    expect((await readExport(app, run.exportId)).listId).toBe(String(free.id));
    expect([taken.members.size, free.members.size]).toEqual([3, 2]);
  });

  test('means a new list when there is no other', async () => {
    await using app = await startTestApp({ iterable: { refusesDuplicateNames: false } });
    const { cohort, taken } = await startWithOther(app);
    const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2, removed: 0 } });
    expect(taken.members.size).toBe(3);
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
  });

  test('fails the run in words when Iterable wants names to differ', async () => {
    await using app = await startTestApp();
    const { cohort, taken } = await startWithOther(app);
    const run = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { members: 0 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error?.message).toMatch(
      /another export writes to it\. Rename it in Iterable, then use runExport/,
    );
    expect(taken.members.size).toBe(3);
    taken.name = 'Out of the way';
    const next = await app.runToEnd(run.exportId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
    expect([taken.members.size, app.iterable.membersOf(cohort.listName).length]).toEqual([3, 2]);
  });
});

describe('a list whose creation was never answered', () => {
  test('is found by the next run, which waits until Iterable knows it', async () => {
    await using app = await startTestApp({
      env: { PARTNER_RETRY_BUDGET: '0s' },
      iterable: { unknownAfterCreateMs: 5_000 },
    });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'iterable.createList', drop: 'after', times: 1 });
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    expect(first).toMatchObject({
      status: 'FAILED',
      counts: { members: 0 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: true },
    });
    const runId = await app.runExport(first.exportId);
    await untilCalls(app, 'iterable.subscribe', 1);
    app.clock.advance({ seconds: 5 });
    const next = await app.untilOver(runId);
    expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2 } });
    expect(app.sandbox.calls.of('iterable.subscribe').map((call) => call.status)).toEqual([400, 200]);
    expect(app.sandbox.calls.of('iterable.createList')).toHaveLength(1);
    await checkSettled(app, next, cohort.listName);
  });

  test('and that is known to nobody more than a minute after it was made is gone', async () => {
    await using app = await startTestApp({
      env: { PARTNER_RETRY_BUDGET: '0s' },
      iterable: { unknownAfterCreateMs: 600_000 },
    });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'iterable.createList', drop: 'after', times: 1 });
    const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.clock.advance({ seconds: 61 });
    expect(await app.runToEnd(first.exportId)).toMatchObject({
      status: 'FAILED',
      error: { code: 'DESTINATION_LIST_GONE', retryable: true },
    });
    expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(1);
  });
});
