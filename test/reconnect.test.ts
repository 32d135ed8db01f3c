import { expect, test } from 'vitest';
import { act } from './support/export-operations.ts';
import { person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

test('connecting to another Iterable project makes the list there, though the cohort has not changed', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  // A list of the other project that bears the same id must not be touched.
  const stranger = other.addList('Somebody else', { id: app.iterable.list(cohort.listName)!.id });
  other.setMember(stranger, other.users.add({ email: 'vip@example.com' }), true);

  await app.connectIterable({ apiKey: other.addKey() });
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2, unchanged: 0 } });
  expect(second.notices).toHaveLength(1);
  expect(other.membersOf(cohort.listName)).toEqual(['a@example.com', 'b@example.com']);
  expect(other.membersOf('Somebody else')).toEqual(['vip@example.com']);
});

test('a new key of the same Iterable project changes nothing, and the list is not read again', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  await app.connectIterable();
  app.sandbox.calls.clear();
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ unchanged: 2, requestsSent: 0 });
  expect(app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable'))).toEqual([]);
});

test('people whom the old project had refused are tried again in the new one', async () => {
  await using app = await startTestApp();
  await app.connect();
  app.iterable.forgetUsers('email', 'b@example.com');
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first.counts).toMatchObject({ added: 1, rejected: 1 });
  const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  await app.connectIterable({ apiKey: other.addKey() });
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ added: 2, rejected: 0 });
  expect(other.membersOf(cohort.listName)).toEqual(['a@example.com', 'b@example.com']);
});

test('a run that a disconnect ended has failed for that reason, though Iterable was connected again at once', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b'), person('c')]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 500 });
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  for await (const { syncProgress } of app.api.sse(
    'subscription ($id: ID!) { syncProgress(runId: $id) { phase } }',
    { id: runId },
  )) {
    if (syncProgress.phase === 'ADDING') break;
  }
  await app.api.query('mutation { disconnectIntegration(input: {}) { status } }');
  await app.connectIterable();
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({ status: 'FAILED', error: { code: 'INTEGRATION_DISCONNECTED' } });
  expect(run.counts.added + run.counts.notProcessed).toBe(3);
  const { export: exported } = await app.api.query(
    'query ($id: ID!) { export(id: $id) { status listSize } }',
    {
      id: exportId,
    },
  );
  expect(exported).toEqual({ status: 'STOPPED', listSize: run.counts.added });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(run.counts.added);
});

test('another project connected while the first run goes gets its own list, and a list that bears the same id is left alone', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  app.sandbox.faults.add({ operation: 'iterable.createList', delayMs: 1_000, times: 1 });
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'mixpanel.engage'));
  const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  await app.connectIterable({ apiKey: other.addKey() });
  await app.untilOver(runId);
  const stranger = other.addList('Somebody else', { id: app.iterable.list(cohort.listName)!.id });
  other.setMember(stranger, other.users.add({ email: 'vip@example.com' }), true);

  app.mixpanel.setMembers(cohort.externalId, [person('a'), person('c')]);
  const run = await app.runToEnd(exportId);
  expect(run.counts).toMatchObject({ members: 2, added: 2 });
  expect(other.membersOf('Somebody else')).toEqual(['vip@example.com']);
  expect(other.membersOf(cohort.listName)).toEqual(['a@example.com', 'c@example.com']);
});

test("DELETE after another project was connected deletes no list of that project's", async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  const stranger = other.addList('Somebody else', { id: app.iterable.list(cohort.listName)!.id });
  await app.connectIterable({ apiKey: other.addKey() });
  expect(await act(app, 'delete', first.exportId)).toMatchObject({ status: 'STOPPED', listId: null });
  expect(other.lists.has(stranger.id)).toBe(true);
});

test('a run that still goes with a revoked key does not blame the key that was connected meanwhile', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b'), person('c')]);
  const old = [...app.iterable.keys.keys()].at(-1)!;
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1_000, times: 1 });
  const { runId } = await app.startSync(cohort.id, 'DYNAMIC');
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  await app.connectIterable();
  app.iterable.revokeKey(old);
  expect(await app.untilOver(runId)).toMatchObject({ error: { code: 'DESTINATION_UNAUTHORIZED' } });
  const { integrations } = await app.api.query('{ integrations { status attention } }');
  expect(integrations).toEqual([{ status: 'CONNECTED', attention: null }]);
});
