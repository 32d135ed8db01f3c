import { expect, test } from 'vitest';
import { act, readExport, refusal } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

async function startExport(app: TestApp) {
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  return { cohort, exportId };
}

test('KEEP leaves the list as it is', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  app.sandbox.calls.clear();
  expect(await act(app, 'keep', exportId)).toMatchObject({ status: 'STOPPED', nextRunAt: null, listSize: 3 });
  expect(app.sandbox.calls.all).toEqual([]);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(3);
});

test('EMPTY queues a run that removes everybody', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  expect((await act(app, 'empty', exportId)).status).toBe('STOPPED');
  const run = await app.untilRuns(exportId, 2);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 0, removed: 3 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual([]);
  expect(await readExport(app, exportId)).toMatchObject({ status: 'STOPPED', listSize: 0 });
  expect(app.sandbox.calls.of('iterable.deleteList')).toEqual([]);
});

test('DELETE has deleted the list when it answers, and a new start makes another', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  expect(await act(app, 'delete', exportId)).toMatchObject({ status: 'STOPPED', listId: null, listSize: 0 });
  expect(app.iterable.lists.size).toBe(0);
  const again = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(again).toMatchObject({ exportId, counts: { added: 3, unchanged: 0 }, notices: [] });
});

test('DELETE of a list that somebody deleted before is done', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
  expect((await act(app, 'delete', exportId)).status).toBe('STOPPED');
});

test('DELETE whose answer is lost is done all the same', async () => {
  await using app = await startTestApp();
  const { exportId } = await startExport(app);
  app.sandbox.faults.add({ operation: 'iterable.deleteList', drop: 'after', times: 1 });
  expect((await act(app, 'delete', exportId)).status).toBe('STOPPED');
  expect(app.iterable.lists.size).toBe(0);
});

test('DELETE of a list that is in use is refused, and nothing changes', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  app.iterable.list(cohort.listName)!.isInUse = true;
  const before = await readExport(app, exportId);
  expect((await refusal(app, 'delete', exportId)).code).toBe('INVALID_STATE');
  expect(await readExport(app, exportId)).toEqual(before);
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, requestsSent: 0 });
});

test('DELETE while Iterable is down is refused within about ten seconds, and nothing changes', async () => {
  await using app = await startTestApp();
  const { exportId } = await startExport(app);
  app.sandbox.faults.add({ operation: 'iterable.deleteList', hang: true });
  const startedAt = performance.now();
  expect((await refusal(app, 'delete', exportId)).code).toBe('PARTNER_UNAVAILABLE');
  expect(performance.now() - startedAt).toBeLessThan(13_000);
  expect((await readExport(app, exportId)).status).toBe('ACTIVE');
});

test('a run that is going is cancelled first', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
  const { cohort, exportId } = await startExport(app);
  app.mixpanel.setMembers(cohort.externalId, people(9));
  app.sandbox.calls.clear();
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1000, times: 1 });
  const runId = await app.runExport(exportId);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.listLists'));
  expect((await act(app, 'delete', exportId)).status).toBe('STOPPED');
  expect((await app.readRun(runId)).status).toBe('CANCELLED');
  expect(app.iterable.lists.size).toBe(0);
});

test('EMPTY waits for the run that it cancels, and removes what that run had added', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
  const { cohort, exportId } = await startExport(app);
  app.mixpanel.setMembers(cohort.externalId, people(9));
  app.sandbox.calls.clear();
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1000, times: 1 });
  await app.runExport(exportId);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.listLists'));
  await act(app, 'empty', exportId);
  expect((await app.untilRuns(exportId, 3)).status).toBe('SUCCEEDED');
  expect(app.iterable.membersOf(cohort.listName)).toEqual([]);
});

test('without a connection only KEEP is possible', async () => {
  await using app = await startTestApp();
  const { exportId } = await startExport(app);
  await app.api.query('mutation { disconnectIntegration(input: {}) { id } }');
  expect((await refusal(app, 'delete', exportId)).code).toBe('INTEGRATION_NOT_CONNECTED');
  expect((await act(app, 'keep', exportId)).status).toBe('STOPPED');
});

test('EMPTY removes also whom somebody else has put on the list', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startExport(app);
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.add({ email: 'hand@example.com' }), true);
  await act(app, 'empty', exportId);
  await app.untilRuns(exportId, 2);
  expect(app.iterable.membersOf(cohort.listName)).toEqual([]);
  expect(await readExport(app, exportId)).toMatchObject({ status: 'STOPPED', listSize: 0 });
});
