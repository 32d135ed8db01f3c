import { expect, test } from 'vitest';
import { person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

test('people whose addition Iterable never answered are sent again, with newcomers, and counted as added once', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '0s' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', drop: 'after' });
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first).toMatchObject({ status: 'FAILED', error: { code: 'DESTINATION_UNAVAILABLE' } });

  app.sandbox.faults.clear();
  app.mixpanel.setMembers(cohort.externalId, [person('a'), person('b'), person('c')]);
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 3, added: 3, unchanged: 0, rejected: 0 },
  });
  expect(await app.readLedger(second.id, { outcome: 'ADDED' })).toHaveLength(3);
  expect((await app.runToEnd(first.exportId)).counts).toMatchObject({ unchanged: 3, requestsSent: 0 });
});

test('somebody whose addition was never answered and is then refused is neither on the list nor counted as if they were', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '0s' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', drop: 'before' });
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.sandbox.faults.clear();
  app.iterable.forgetUsers('email', 'b@example.com');
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ members: 2, added: 1, rejected: 1 });
  const { export: exported } = await app.api.query('query ($id: ID!) { export(id: $id) { listSize } }', {
    id: first.exportId,
  });
  expect(exported).toEqual({ listSize: 1 });

  app.mixpanel.setMembers(cohort.externalId, [person('a')]);
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ members: 1, unchanged: 1, removed: 0, rejected: 0 });
});

test('somebody on the list whose change of userId was never answered is still on it, and counted as unchanged', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '0s' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a', { $iterable_user_id: 'old' })]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [person('a', { $iterable_user_id: 'new' })]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', drop: 'before' });
  expect((await app.runToEnd(first.exportId)).status).toBe('FAILED');

  app.sandbox.faults.clear();
  const third = await app.runToEnd(first.exportId);
  expect(third).toMatchObject({ status: 'SUCCEEDED', counts: { members: 1, added: 0, unchanged: 1 } });
  expect(await app.readLedger(third.id)).toEqual([]);
  expect(app.iterable.users.find('a@example.com')).toMatchObject({ userId: 'new' });
});
