import { expect, test } from 'vitest';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Rows by which people are on a list. */
async function readBlocks(app: TestApp): Promise<{ id: string; live_count: number }[]> {
  return app.app.sync.db
    .selectFrom('sync_batches')
    .select(['id', 'live_count'])
    .where('live_count', '>', 0)
    .orderBy('id')
    .execute();
}

async function countBlocks(app: TestApp): Promise<number> {
  return (await readBlocks(app)).length;
}

test('a list of many small changes is gathered into few blocks, and goes on as before', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1' } });
  await app.connect();
  const everybody = people(100);
  const cohort = await app.addCohort('Trickle', everybody.slice(0, 60));
  const first = await app.syncToEnd(cohort.id);
  expect(await countBlocks(app)).toBe(60);
  app.mixpanel.setMembers(cohort.externalId, everybody.slice(0, 80));
  const second = await app.runToEnd(first.exportId);
  expect(await countBlocks(app)).toBe(1);
  for (const [run, added] of [
    [first, 60],
    [second, 20],
  ] as const) {
    expect(await app.readLedger(run.id, { outcome: 'ADDED' })).toHaveLength(added);
  }

  app.mixpanel.setMembers(cohort.externalId, everybody.slice(10, 90));
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ members: 80, unchanged: 70, added: 10, removed: 10 });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(80);
  const removed = await app.readLedger(third.id, { outcome: 'REMOVED' });
  expect(removed.map((member) => member.distinctId).sort()).toEqual(
    everybody
      .slice(0, 10)
      .map((member) => member.distinctId)
      .sort(),
  );
});

test('somebody who counts under another distinct_id than before is unchanged, and the next run has nothing to write', async () => {
  const statements: string[] = [];
  await using app = await startTestApp({
    // The scheduler would index the people of the first run meanwhile.
    env: { ROLES: 'gateway,worker' },
    onStatement: (text) => statements.push(text),
  });
  await app.connect();
  const member = (distinctId: string) => ({ distinctId, properties: { $email: 'one@example.com' } });
  const cohort = await app.addCohort('Merged', [member('b')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [member('c'), member('a')]);
  const run = await app.runToEnd(exportId);
  expect(run.counts).toMatchObject({
    members: 2,
    unchanged: 1,
    rejected: 1,
    added: 0,
    removed: 0,
    requestsSent: 0,
  });
  expect(await app.readLedger(run.id)).toMatchObject([{ distinctId: 'c', reason: 'DUPLICATE_IDENTITY' }]);
  const isWrite = (text: string) =>
    /^\s*(insert into|update|delete from) "?(sync_batches|rejections)/.test(text);
  expect(statements.some(isWrite)).toBe(true);
  statements.length = 0;
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 1, rejected: 1, requestsSent: 0 });
  // Only what an earlier attempt might have planned is looked for.
  expect(statements.filter(isWrite).filter((text) => !text.startsWith('delete'))).toEqual([]);
});

test('whoever comes twice with two addresses counts once, whichever of them is on the list', async () => {
  await using app = await startTestApp({ mixpanel: { defaultPageSize: 1 } });
  await app.connect();
  const row = (distinctId: string, name: string) => ({
    distinctId,
    properties: { $email: `${name}@example.com` },
  });
  const cohort = await app.addCohort('Twice', [row('a', 'old'), row('b', 'b')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  // The first row counts: here the one with the address that is on the list, and nothing is to be done.
  app.mixpanel.settings.totalError = -1;
  app.mixpanel.setMembers(cohort.externalId, [row('a', 'old'), row('b', 'b'), row('a', 'new')]);
  expect(await app.runToEnd(exportId)).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 2, unchanged: 2, added: 0, removed: 0, requestsSent: 0 },
  });
  app.mixpanel.setMembers(cohort.externalId, [row('a', 'new'), row('b', 'b'), row('a', 'old')]);
  expect(await app.runToEnd(exportId)).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 2, unchanged: 1, added: 1, removed: 1 },
  });
  expect(app.iterable.membersOf(cohort.listName).sort()).toEqual(['b@example.com', 'new@example.com']);
});

test('an unchanged list that is compared in parts keeps its rows, and a small change writes what changed', async () => {
  await using app = await startTestApp({ env: { COMPARISON_MEMORY_PEOPLE: '10', ITERABLE_BATCH_SIZE: '8' } });
  await app.connect();
  const everybody = people(64);
  const cohort = await app.addCohort('Parts', everybody);
  const first = await app.syncToEnd(cohort.id);
  const blocksBefore = await readBlocks(app);

  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ members: 64, unchanged: 64, requestsSent: 0 });
  expect(await readBlocks(app)).toEqual(blocksBefore);

  app.mixpanel.setMembers(cohort.externalId, everybody.slice(1));
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ members: 63, unchanged: 63, removed: 1 });
  const blocksAfter = await readBlocks(app);
  expect(blocksAfter.reduce((sum, block) => sum + block.live_count, 0)).toBe(63);
  expect(blocksAfter.map(({ id }) => id)).toEqual(blocksBefore.map(({ id }) => id));
});
