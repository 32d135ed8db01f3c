import { expect, test } from 'vitest';
import { startTestApp } from './support/test-app.ts';

const person = (id: string) => ({ distinctId: id, properties: { $email: `${id}@example.com` } });

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
  app.iterable.users.forget('b@example.com');
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first.counts).toMatchObject({ added: 1, rejected: 1 });
  const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  await app.connectIterable({ apiKey: other.addKey() });
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ added: 2, rejected: 0 });
  expect(other.membersOf(cohort.listName)).toEqual(['a@example.com', 'b@example.com']);
});
