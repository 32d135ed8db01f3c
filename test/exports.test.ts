import { describe, expect, test } from 'vitest';
import { act, readExport, refusal } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Without a worker a run stays queued. */
const noWorker = { ROLES: 'gateway,scheduler' };

async function connectWithCohort(app: TestApp) {
  await app.connect();
  return await app.addCohort('Trial', people(3));
}

describe('a paused export', () => {
  test('has no next run, and pausing it again changes nothing', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    const paused = await act(app, 'pause', exportId);
    expect(paused).toMatchObject({ status: 'PAUSED', nextRunAt: null });
    expect(await act(app, 'pause', exportId)).toEqual(paused);
  });

  test('goes on upon the same grid when it is resumed, and resuming it again changes nothing', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    await act(app, 'pause', exportId);
    app.clock.advance({ minutes: 47 });
    const resumed = await act(app, 'resume', exportId);
    expect(resumed).toMatchObject({ status: 'ACTIVE', nextRunAt: '2030-01-01T01:00:00.000Z' });
    expect(await act(app, 'resume', exportId)).toEqual(resumed);
  });

  test('runs once by hand and stays paused', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    await act(app, 'pause', exportId);
    expect((await app.runToEnd(exportId)).status).toBe('SUCCEEDED');
    expect(await readExport(app, exportId)).toMatchObject({
      status: 'PAUSED',
      nextRunAt: null,
      runs: { totalCount: 2 },
    });
  });

  test('lets the run that is going go on', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 500, times: 1 });
    const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
    await act(app, 'pause', exportId);
    expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
    expect((await readExport(app, exportId)).status).toBe('PAUSED');
  });
});

test('a one-time export is complete when its run is over, can run again and cannot be paused or resumed', async () => {
  await using app = await startTestApp();
  const cohort = await connectWithCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
  expect(await readExport(app, exportId)).toMatchObject({
    status: 'COMPLETED',
    nextRunAt: null,
    listSize: 3,
  });
  expect((await refusal(app, 'resume', exportId)).code).toBe('INVALID_STATE');
  expect((await refusal(app, 'pause', exportId)).code).toBe('INVALID_STATE');
  expect((await app.runToEnd(exportId)).status).toBe('SUCCEEDED');
  expect((await readExport(app, exportId)).status).toBe('COMPLETED');
});

test('a stopped export cannot be resumed or run until it is started anew', async () => {
  await using app = await startTestApp();
  const cohort = await connectWithCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  await act(app, 'keep', exportId);
  expect((await refusal(app, 'resume', exportId)).code).toBe('INVALID_STATE');
  expect((await refusal(app, 'run', exportId)).code).toBe('INVALID_STATE');
  const again = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(again).toMatchObject({ exportId, counts: { unchanged: 3, requestsSent: 0 } });
  expect((await readExport(app, exportId)).status).toBe('ACTIVE');
});

test('the newest start decides the type', async () => {
  await using app = await startTestApp();
  const cohort = await connectWithCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
  await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(await readExport(app, exportId)).toMatchObject({ syncType: 'DYNAMIC', status: 'ACTIVE' });
  await app.syncToEnd(cohort.id, 'ONE_TIME');
  expect(await readExport(app, exportId)).toMatchObject({
    syncType: 'ONE_TIME',
    status: 'COMPLETED',
    nextRunAt: null,
  });
});

test('a second start while a run is going is refused, names that run and changes nothing', async () => {
  await using app = await startTestApp({ env: noWorker });
  const cohort = await connectWithCohort(app);
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  await act(app, 'pause', exportId);
  const before = await readExport(app, exportId);
  const running = { code: 'SYNC_ALREADY_RUNNING', runId, status: 'QUEUED' };
  expect(await refusal(app, 'startOnce', cohort.id)).toMatchObject(running);
  expect(await refusal(app, 'startDynamic', cohort.id)).toMatchObject(running);
  expect(await refusal(app, 'run', exportId)).toMatchObject(running);
  expect(await readExport(app, exportId)).toEqual(before);
});

describe('cancelling', () => {
  test('a queued run ends it at once', async () => {
    await using app = await startTestApp({ env: noWorker });
    const cohort = await connectWithCohort(app);
    const { runId, exportId } = await app.startSync(cohort.id);
    expect(await act(app, 'cancel', runId)).toEqual({ status: 'CANCELLED', phase: 'DONE' });
    expect((await readExport(app, exportId)).status).toBe('COMPLETED');
    expect((await refusal(app, 'cancel', runId)).code).toBe('INVALID_STATE');
  });

  test('a run that is going takes effect between two batches, and what was sent is recorded', async () => {
    await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
    const cohort = await connectWithCohort(app);
    app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1000, times: 1 });
    const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
    await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
    await act(app, 'cancel', runId);
    const run = await app.untilOver(runId);
    expect(run).toMatchObject({ status: 'CANCELLED', phase: 'DONE', error: null });
    const { added, notProcessed, members } = run.counts;
    expect(added + notProcessed).toBe(members);
    expect(app.sandbox.calls.of('iterable.subscribe').length).toBe(added);
    const onList = app.iterable.membersOf(cohort.listName);
    expect((await app.readLedger(runId)).map((member) => member.email)).toEqual(onList);
    expect(await readExport(app, exportId)).toMatchObject({ status: 'ACTIVE', listSize: onList.length });
    const next = await app.runToEnd(exportId);
    expect(next.counts).toMatchObject({ members: 3, unchanged: added, added: 3 - added });
  });

  test('a run that is over is refused', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    const run = await app.syncToEnd(cohort.id);
    expect((await refusal(app, 'cancel', run.id)).code).toBe('INVALID_STATE');
  });
});

describe('disconnecting Iterable', () => {
  const DISCONNECT = 'mutation { disconnectIntegration(input: {}) { status } }';

  test('fails the run that is going and stops its export, which connecting does not start again', async () => {
    await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
    const cohort = await connectWithCohort(app);
    app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1000, times: 1 });
    const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
    await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
    await app.api.query(DISCONNECT);
    expect(await app.untilOver(runId)).toMatchObject({
      status: 'FAILED',
      error: { code: 'INTEGRATION_DISCONNECTED', retryable: false },
    });
    await app.connectIterable();
    expect(await readExport(app, exportId)).toMatchObject({ status: 'STOPPED', nextRunAt: null });
    const again = await app.syncToEnd(cohort.id, 'DYNAMIC');
    expect(again.status).toBe('SUCCEEDED');
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(3);
  });

  test('cancels a queued run', async () => {
    await using app = await startTestApp({ env: noWorker });
    const cohort = await connectWithCohort(app);
    const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
    await app.api.query(DISCONNECT);
    expect(await app.readRun(runId)).toMatchObject({ status: 'CANCELLED', phase: 'DONE' });
    expect((await readExport(app, exportId)).status).toBe('STOPPED');
    expect((await refusal(app, 'startDynamic', cohort.id)).code).toBe('INTEGRATION_NOT_CONNECTED');
  });

  test('leaves complete exports complete and lists as they are', async () => {
    await using app = await startTestApp();
    const cohort = await connectWithCohort(app);
    const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
    await app.api.query(DISCONNECT);
    expect(await readExport(app, exportId)).toMatchObject({ status: 'COMPLETED', listSize: 3 });
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(3);
  });
});

test('a one-time export that was paused during its run is complete when the run is over', async () => {
  await using app = await startTestApp();
  const cohort = await connectWithCohort(app);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 500, times: 1 });
  const { runId, exportId } = await app.startSync(cohort.id, 'ONE_TIME');
  await act(app, 'pause', exportId);
  await app.untilOver(runId);
  expect(await readExport(app, exportId)).toMatchObject({ status: 'COMPLETED' });
});
