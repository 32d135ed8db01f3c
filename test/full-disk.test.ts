import { expect, test, vi } from 'vitest';
import { fullDiskOf } from '../src/sync/full-disk.ts';
import { checkOutcome } from './support/check-run.ts';
import { fillDisk } from './support/full-disk.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { untilValue, watch } from './support/watch.ts';

/** Some of it waits for the job queue to give a run up. */
vi.setConfig({ testTimeout: 120_000 });

const BATCH_SIZE = 5;
const CONCURRENCY = 2;
const env = { ITERABLE_BATCH_SIZE: String(BATCH_SIZE), ITERABLE_CONCURRENCY: String(CONCURRENCY) };

/** Resolves when the log has so many lines like this. */
const untilLogged = (app: TestApp, msg: string, count: number) =>
  expect
    .poll(() => app.logs.filter((line) => line.msg === msg).length, { timeout: 40_000 })
    .toBeGreaterThanOrEqual(count);

const INTERRUPTED = 'the run was interrupted and will be taken up again';

test('a run that finds no room to be planned fails, says so, and has asked for nothing but the cohort', async () => {
  await using app = await startTestApp({ allowFaults: true, env });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.mixpanel.setMembers(cohort.externalId, people(12).slice(1));
  app.sandbox.calls.clear();
  await using disk = await fillDisk(app.database.url, 'the ledger');
  const run = await app.runToEnd(first.exportId);
  expect(run).toMatchObject({
    status: 'FAILED',
    notices: [],
    counts: { members: 0, added: 0, unchanged: 0, removed: 0, requestsSent: 0 },
    error: {
      code: 'INTERNAL',
      message:
        'The disk of the database is full, and the run ended before anybody was added or removed. Make room there; the next run starts anew.',
      retryable: true,
    },
  });
  await checkOutcome(app, run, cohort.listName);
  expect(app.sandbox.calls.all.map((call) => call.operation)).toEqual(['mixpanel.engage']);
  expect(app.logs.filter((line) => line.level === 50)).toMatchObject([{ err: { code: 'INTERNAL' } }]);

  await disk.makeRoom();
  const next = await app.runToEnd(first.exportId);
  expect(next).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 11, added: 9, unchanged: 2, removed: 1 },
  });
  await checkOutcome(app, next, cohort.listName);
});

test('a run whose answers find no room waits for it, says so, sends nothing meanwhile, and loses nobody', async () => {
  await using app = await startTestApp({ env: { ...env, DRIFT_CHECK_INTERVAL: 'off' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [...people(10, 'stay'), ...people(10, 'old')]);
  const first = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.mixpanel.setMembers(cohort.externalId, [...people(10, 'stay'), ...people(20, 'new')]);
  app.sandbox.calls.clear();
  app.sandbox.faults.add({ operation: 'iterable.subscribe', skip: 2, delayMs: 3000, times: CONCURRENCY });
  const runId = await app.runExport(first.exportId);
  const snapshots = watch(
    app.api,
    'server-sent events',
    'subscription ($id: ID!) { syncProgress(runId: $id) { status notices counts { added removed } } }',
    { id: runId },
  );
  await untilValue(snapshots, ({ syncProgress }) => syncProgress.counts.added === 2 * BATCH_SIZE);
  // The next batches are on their way.
  await using disk = await fillDisk(app.database.url, 'the ledger');
  const { syncProgress } = await untilValue(snapshots, (value) => value.syncProgress.notices.length > 0);
  expect(syncProgress).toEqual({
    status: 'RUNNING',
    notices: ['The disk of the database was found full. The run goes on where it was once there is room.'],
    counts: { added: 2 * BATCH_SIZE, removed: 10 },
  });
  await untilLogged(app, INTERRUPTED, 3);
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(2 + CONCURRENCY);
  expect(app.sandbox.calls.of('mixpanel.engage')).toHaveLength(1);

  await disk.makeRoom();
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 30, added: 20, unchanged: 10, removed: 10 },
  });
  await checkOutcome(app, run, cohort.listName);
  // Those whose answers were not written down were sent again, and nobody else.
  expect(app.sandbox.calls.of('iterable.unsubscribe')).toHaveLength(2);
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(4 + CONCURRENCY);
  expect((await app.runToEnd(first.exportId)).counts).toMatchObject({ unchanged: 30, requestsSent: 0 });
});

test('a run that is cancelled while it waits for room ends when there is some, and what it had sent is asked for again', async () => {
  await using app = await startTestApp({ env: { ...env, DRIFT_CHECK_INTERVAL: 'off' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(20));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 3000, times: CONCURRENCY });
  const { runId, exportId } = await app.startSync(cohort.id, 'ONE_TIME');
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  await expect.poll(async () => (await app.readRun(runId)).phase).toBe('ADDING');
  await using disk = await fillDisk(app.database.url, 'the ledger');
  await untilLogged(app, INTERRUPTED, 1);
  await app.api.query('mutation ($id: ID!) { cancelSyncRun(runId: $id) { id } }', { id: runId });
  await disk.makeRoom();
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({ status: 'CANCELLED', counts: { members: 20, added: 0, notProcessed: 20 } });
  await checkOutcome(app, run, cohort.listName);
  const next = await app.runToEnd(exportId);
  expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { members: 20, added: 20 } });
  await checkOutcome(app, next, cohort.listName);
});

test('when nothing at all can be written the API refuses, nobody is asked anything, and all goes on afterwards', async () => {
  await using app = await startTestApp({ env, allowFaults: true });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(20));
  const other = await app.addCohort('Other', people(3, 'other'));
  const ticking = await app.syncToEnd(other.id, 'DYNAMIC');
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 3000, times: CONCURRENCY });
  const { runId } = await app.startSync(cohort.id, 'ONE_TIME');
  await expect.poll(async () => (await app.readRun(runId)).phase).toBe('ADDING');
  await using disk = await fillDisk(app.database.url, 'everything');
  await untilLogged(app, INTERRUPTED, 1);
  app.sandbox.calls.clear();
  app.clock.advance({ minutes: 15 });
  await untilLogged(app, 'queueing due runs failed; the next beat tries again', 2);
  const error = await app.api.fail(
    'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }',
    { id: other.id },
  );
  expect(error.message).toMatch(/^Unexpected error\./);
  expect(app.sandbox.calls.all).toEqual([]);

  await disk.makeRoom();
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 20, added: 20 } });
  await checkOutcome(app, run, cohort.listName);
  expect(await app.untilRuns(ticking.exportId, 2)).toMatchObject({
    status: 'SUCCEEDED',
    trigger: 'SCHEDULED',
    counts: { unchanged: 3 },
  });
});

test('a disk for temporary files that is full is told apart from that of the database', () => {
  const errno = (code: string) => Object.assign(new Error(`${code}: write`), { code, syscall: 'write' });
  expect(fullDiskOf(errno('ENOSPC'))).toBe('for temporary files');
  expect(fullDiskOf(errno('EPIPE'))).toBeUndefined();
  expect(fullDiskOf(undefined)).toBeUndefined();
});
