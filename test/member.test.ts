import { expect, test } from 'vitest';
import { forgetLedgers } from '../src/sync/forget-ledgers.ts';
import { indexPeople } from '../src/sync/index-people.ts';
import type { ApiClient } from './support/api-client.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp, type TestAppOptions } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

type Key = { email: string } | { userId: string } | { distinctId: string };

interface Story {
  email: string | null;
  userId: string | null;
  distinctIds: string[];
  lists: { id: string }[];
  history: {
    totalCount: number;
    edges: {
      node: {
        at: string;
        run: { id: string };
        export: { id: string };
        outcome: string;
        reason: string | null;
        messagingEvent: string | null;
        detail: string | null;
      };
    }[];
    pageInfo: { hasNextPage: boolean; endCursor: string };
  };
}

const MEMBER = `query ($email: String, $userId: String, $distinctId: String, $first: Int, $after: String) {
  member(email: $email, userId: $userId, distinctId: $distinctId) {
    email userId distinctIds lists { id }
    history(first: $first, after: $after) {
      totalCount pageInfo { hasNextPage endCursor }
      edges { node { at run { id } export { id } outcome reason messagingEvent detail } }
    }
  }
}`;

async function readStory(api: ApiClient, key: Key, page: object = { first: 100 }): Promise<Story | null> {
  return (await api.query(MEMBER, { ...key, ...page })).member;
}

/** "OUTCOME run" of each event, the newest first. */
const eventsOf = (story: Story | null) =>
  story?.history.edges.map(({ node }) => `${node.outcome} ${node.run.id}`);

/** Nothing is indexed but by indexAll, and nothing runs by itself. */
const startQuietApp = (options: TestAppOptions = {}) =>
  startTestApp({
    now: '2030-01-01T00:00:00Z',
    ...options,
    env: { ROLES: 'gateway,worker', DRIFT_CHECK_INTERVAL: 'off', ...options.env },
  });

async function indexAll(app: TestApp, blocksAtATime?: number): Promise<void> {
  // Nothing is fresh any more.
  const later = new Date(app.clock.now().getTime() + 60_000);
  while (
    (await indexPeople(app.app.sync.db, later, blocksAtATime === undefined ? {} : { blocksAtATime })) > 0
  );
}

const dbOf = (app: TestApp) => app.app.sync.db;

/** Segments name the blocks that there are, each once and no others, and are few. */
async function expectEveryBlockIn(app: TestApp, maxSegments: number): Promise<void> {
  const segments = await dbOf(app).selectFrom('people_segments').select('blocks').execute();
  const blocks = await dbOf(app).selectFrom('sync_batches').select('id').execute();
  const inOrder = (ids: string[]) => ids.map(Number).sort((left, right) => left - right);
  expect(inOrder(segments.flatMap((segment) => segment.blocks))).toEqual(inOrder(blocks.map(({ id }) => id)));
  expect(segments.length).toBeLessThanOrEqual(maxSegments);
}

for (const isIndexed of [false, true]) {
  const when = isIndexed ? 'once people are indexed' : 'before people are indexed';

  test(`added, left alone, removed, rejected and added again on two lists: one story by each key, ${when}`, async () => {
    await using app = await startQuietApp();
    await app.connect();
    const ann = person('ann', { $iterable_user_id: 'U1' });
    const others = people(5);
    const first = await app.addCohort('First', [ann, ...others]);
    const second = await app.addCohort('Second', [ann]);
    const run1 = await app.syncToEnd(first.id);
    const settle = async (members: Parameters<typeof app.mixpanel.setMembers>[1]) => {
      app.mixpanel.setMembers(first.externalId, members);
      app.clock.advance({ seconds: 60 });
      if (isIndexed) await indexAll(app);
      return await app.runToEnd(run1.exportId);
    };
    await settle([ann, ...others]);
    const run3 = await settle(others);
    const run4 = await settle([{ ...ann, properties: { $iterable_user_id: 'U1' } }, ...others]);
    app.clock.advance({ seconds: 60 });
    const run5 = await app.syncToEnd(second.id);
    const run6 = await settle([ann, ...others]);
    if (isIndexed) await indexAll(app);

    const story = await readStory(app.api, { distinctId: ' ann ' });
    expect(story).toMatchObject({
      email: 'ann@example.com',
      userId: 'U1',
      distinctIds: ['ann'],
      lists: [{ id: run5.exportId }, { id: run1.exportId }],
      history: { totalCount: 5 },
    });
    const all = [
      `ADDED ${run6.id}`,
      `ADDED ${run5.id}`,
      `REJECTED ${run4.id}`,
      `REMOVED ${run3.id}`,
      `ADDED ${run1.id}`,
    ];
    expect(eventsOf(story)).toEqual(all);
    expect(story!.history.edges[2]!.node).toEqual({
      at: '2030-01-01T00:03:00.000Z',
      run: { id: run4.id },
      export: { id: run1.exportId },
      outcome: 'REJECTED',
      reason: 'MISSING_EMAIL',
      messagingEvent: null,
      detail: null,
    });
    expect(await readStory(app.api, { userId: 'U1 ' })).toEqual(story);
    const byEmail = await readStory(app.api, { email: ' Ann@Example.COM' });
    expect(eventsOf(byEmail)).toEqual(all.filter((event) => !event.startsWith('REJECTED')));
    expect(await readStory(app.api, { distinctId: 'Ann' })).toBeNull();
    expect(await readStory(app.api, { email: 'ann' })).toBeNull();
    const unindexed = await dbOf(app).selectFrom('sync_batches').select('is_indexed').execute();
    expect(unindexed.every((row) => row.is_indexed === isIndexed)).toBe(true);
  });
}

test('an address that was given up and the new one each have their story; the distinct_id tells both', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const bob = (email: string) => ({ distinctId: 'bob', properties: { $email: email } });
  const cohort = await app.addCohort('Moved', [bob('old@example.com')]);
  const run1 = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [bob('new@example.com')]);
  const run2 = await app.runToEnd(run1.exportId);
  await indexAll(app);
  const old = await readStory(app.api, { email: 'old@example.com' });
  expect(old).toMatchObject({ email: 'old@example.com', distinctIds: ['bob'], lists: [] });
  expect(eventsOf(old)).toEqual([`REMOVED ${run2.id}`, `ADDED ${run1.id}`]);
  const now = await readStory(app.api, { email: 'new@example.com' });
  expect(now).toMatchObject({ distinctIds: ['bob'], lists: [{ id: run1.exportId }] });
  expect(eventsOf(now)).toEqual([`ADDED ${run2.id}`]);
  const both = await readStory(app.api, { distinctId: 'bob' });
  expect(both).toMatchObject({ email: 'new@example.com', lists: [{ id: run1.exportId }] });
  expect(eventsOf(both)).toEqual([`ADDED ${run2.id}`, `REMOVED ${run2.id}`, `ADDED ${run1.id}`]);
});

test('whoever shares an address is told of with all the distinct_ids that hold now', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const member = (distinctId: string) => ({ distinctId, properties: { $email: 'one@example.com' } });
  const cohort = await app.addCohort('Merged', [member('b')]);
  const run1 = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [member('c'), member('a')]);
  app.clock.advance({ seconds: 60 });
  const run2 = await app.runToEnd(run1.exportId);
  const story = await readStory(app.api, { email: 'one@example.com' });
  expect([...story!.distinctIds].sort()).toEqual(['a', 'c']);
  expect(eventsOf(story)).toEqual([`REJECTED ${run2.id}`, `ADDED ${run1.id}`]);
  expect(story!.history.edges[0]!.node.reason).toBe('DUPLICATE_IDENTITY');
  expect(await readStory(app.api, { distinctId: 'b' })).toMatchObject({ distinctIds: ['b'], lists: [] });
});

test('a userId that changed is told of without a second addition', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const cohort = await app.addCohort('Renamed', [person('cy', { $iterable_user_id: 'U1' })]);
  const run1 = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [person('cy', { $iterable_user_id: 'U2' })]);
  app.clock.advance({ seconds: 60 });
  const run2 = await app.runToEnd(run1.exportId);
  const story = await readStory(app.api, { email: 'cy@example.com' });
  expect(story).toMatchObject({ userId: 'U2', lists: [{ id: run1.exportId }] });
  expect(eventsOf(story)).toEqual([`UNCHANGED ${run2.id}`, `ADDED ${run1.id}`]);
  expect(await readStory(app.api, { userId: 'U1' })).toMatchObject({ lists: [] });
});

test('whom Iterable refuses was not added, and the story says why', async () => {
  await using app = await startQuietApp();
  await app.connect();
  app.iterable.forgetUsers('email', 'dan@example.com');
  const cohort = await app.addCohort('Refused', people(3).concat(person('dan')));
  const run = await app.syncToEnd(cohort.id);
  await indexAll(app);
  const story = await readStory(app.api, { email: 'dan@example.com' });
  expect(story).toMatchObject({ lists: [], distinctIds: ['dan'] });
  expect(eventsOf(story)).toEqual([`REJECTED ${run.id}`]);
  expect(story!.history.edges[0]!.node.reason).toBe('ITERABLE_FORGOTTEN');
});

test('people whom somebody else put on the list are known, and drift is told of as such', async () => {
  await using app = await startQuietApp({ env: { DRIFT_CHECK_INTERVAL: '0s' } });
  await app.connect();
  const cohort = await app.addCohort('Drift', people(3));
  const run1 = await app.syncToEnd(cohort.id);
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.add({ email: 'stranger@example.com' }), true);
  app.iterable.setMember(list, app.iterable.users.find('p1@example.com')!, false);
  app.clock.advance({ seconds: 60 });
  const run2 = await app.runToEnd(run1.exportId);
  await indexAll(app);
  const stranger = await readStory(app.api, { email: 'stranger@example.com' });
  expect(stranger).toMatchObject({ distinctIds: [], lists: [] });
  expect(stranger!.history.edges.map(({ node }) => [node.outcome, node.detail])).toEqual([
    ['REMOVED', 'Drift: they had been put on the list without a run.'],
  ]);
  const lost = await readStory(app.api, { email: 'p1@example.com' });
  expect(eventsOf(lost)).toEqual([`ADDED ${run2.id}`, `ADDED ${run1.id}`]);
  expect(lost!.history.edges[0]!.node.detail).toMatch(/^Drift: they had gone/);
  expect(lost!.lists).toHaveLength(1);
});

test('a story outlives its ledgers as long as the person is on a list or rejected', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const nobody = { distinctId: 'nobody' };
  const cohort = await app.addCohort('Old', [...people(3), nobody]);
  const run1 = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [...people(2), nobody]);
  await app.runToEnd(run1.exportId);
  await indexAll(app);
  app.clock.advance({ hours: 31 * 24 });
  expect(await forgetLedgers(app.app.sync)).toBe(2);
  expect(await readStory(app.api, { distinctId: 'p0' })).toMatchObject({
    email: 'p0@example.com',
    lists: [{ id: run1.exportId }],
    history: { totalCount: 0, edges: [] },
  });
  expect(await readStory(app.api, { email: 'p2@example.com' })).toBeNull();
  expect(eventsOf(await readStory(app.api, { distinctId: 'nobody' }))).toEqual([`REJECTED ${run1.id}`]);
});

test('a long history is paged, and stays whole when blocks are folded and segments gathered', async () => {
  await using app = await startQuietApp({ env: { ITERABLE_BATCH_SIZE: '1' } });
  await app.connect();
  const everybody = people(70);
  const cohort = await app.addCohort('Flapping', everybody);
  const runs = [await app.syncToEnd(cohort.id)];
  const { exportId } = runs[0]!;
  await indexAll(app, 3);
  await expectEveryBlockIn(app, 17);
  for (let round = 0; round < 4; round++) {
    app.mixpanel.setMembers(cohort.externalId, round % 2 === 0 ? everybody.slice(1) : everybody);
    app.clock.advance({ seconds: 60 });
    runs.push({ ...(await app.runToEnd(exportId)), exportId });
    await indexAll(app);
  }
  // Folding has moved everybody out of the blocks of one person.
  const living = await dbOf(app)
    .selectFrom('sync_batches')
    .select('id')
    .where('live_count', '>', 0)
    .execute();
  expect(living.length).toBeLessThan(10);
  const all = runs.toReversed().map(({ id }, index) => `${index % 2 === 0 ? 'ADDED' : 'REMOVED'} ${id}`);
  const paged: string[] = [];
  let after: string | null = null;
  do {
    const story: Story | null = await readStory(app.api, { email: 'p0@example.com' }, { first: 2, after });
    expect(story!.history.totalCount).toBe(5);
    paged.push(...eventsOf(story)!);
    after = story!.history.pageInfo.hasNextPage ? story!.history.pageInfo.endCursor : null;
  } while (after !== null);
  expect(paged).toEqual(all);
  for (const cursor of ['nonsense', '', '"1"', '[1,2]', '[1,2,3,4,"5"]']) {
    const page = { after: Buffer.from(cursor).toString('base64url') };
    const { extensions } = await app.api.fail(MEMBER, { distinctId: 'p0', ...page });
    expect(extensions.code).toBe('BAD_USER_INPUT');
  }
  expect((await app.api.fail(MEMBER, { distinctId: 'p0', first: 101 })).extensions.code).toBe(
    'BAD_USER_INPUT',
  );
  expect(await readStory(app.api, { distinctId: 'p69' })).toMatchObject({
    lists: [{ id: exportId }],
    history: { totalCount: 1 },
  });
});

test('segments forget blocks that have been deleted', async () => {
  await using app = await startQuietApp({ env: { ITERABLE_BATCH_SIZE: '1' } });
  await app.connect();
  const cohort = await app.addCohort('Gone', people(20));
  const { exportId } = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, people(2));
  await app.runToEnd(exportId);
  await indexAll(app, 3);
  app.clock.advance({ hours: 31 * 24 });
  await forgetLedgers(app.app.sync);
  app.mixpanel.setMembers(cohort.externalId, people(30));
  await app.runToEnd(exportId);
  await indexAll(app, 1);
  await expectEveryBlockIn(app, 17);
  expect(await readStory(app.api, { email: 'p29@example.com' })).toMatchObject({ lists: [{ id: exportId }] });
});

test('values that look like the text around them are found, and are nobody else', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const odd = ['a","b', 'back\\slash', '],["x', 'übel ☃ 日本', 'tab\there'];
  const cohort = await app.addCohort(
    'Odd',
    odd.map((id, index) => ({ ...person(`e${index}`), distinctId: id })),
  );
  await app.syncToEnd(cohort.id);
  for (const step of ['unindexed', 'indexed']) {
    for (const [index, distinctId] of odd.entries()) {
      const story = await readStory(app.api, { distinctId });
      expect([step, distinctId, story?.email]).toEqual([step, distinctId, `e${index}@example.com`]);
    }
    expect(await readStory(app.api, { distinctId: 'b' })).toBeNull();
    expect(await readStory(app.api, { userId: 'back\\slash' })).toBeNull();
    await indexAll(app);
  }
});

test('people of another project are nobody', async () => {
  await using app = await startQuietApp();
  await app.connect();
  const nobody = { distinctId: 'nobody' };
  const cohort = await app.addCohort('Ours', [person('eve', { $iterable_user_id: 'U5' }), nobody]);
  await app.syncToEnd(cohort.id);
  const { api } = await makeProject(app, 'Theirs');
  const keys = [
    { email: 'eve@example.com' },
    { userId: 'U5' },
    { distinctId: 'eve' },
    { distinctId: 'nobody' },
  ];
  for (const step of ['unindexed', 'indexed']) {
    for (const key of keys) {
      expect([step, await readStory(app.api, key)]).not.toEqual([step, null]);
      expect([step, await readStory(api, key)]).toEqual([step, null]);
    }
    await indexAll(app);
  }
});

test('none or several of the three, and what nobody can be known by, are refused', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const told = async (args: Record<string, unknown>) => (await app.api.fail(MEMBER, args)).extensions;
  const refusal = (path: string, message: string) => ({
    code: 'BAD_USER_INPUT',
    issues: [{ path: [path], message }],
  });
  const exactly = 'exactly one of email, userId and distinctId must be given.';
  expect(await told({})).toEqual(refusal('email', exactly));
  expect(await told({ email: null, userId: null, distinctId: null })).toEqual(refusal('email', exactly));
  expect(await told({ email: 'a@example.com', userId: 'a' })).toEqual(refusal('userId', exactly));
  expect(await told({ userId: 'a', distinctId: 'a' })).toEqual(refusal('distinctId', exactly));
  expect(await told({ email: 'a', userId: 'a', distinctId: 'a' })).toEqual(refusal('userId', exactly));
  expect(await told({ distinctId: ' \t' })).toEqual(refusal('distinctId', 'must not be empty.'));
  expect(await told({ distinctId: 'a\0b' })).toEqual(
    refusal('distinctId', 'must not hold the character NUL.'),
  );
  expect(await told({ userId: 'x'.repeat(2001) })).toEqual(
    refusal('userId', 'must have at most 2000 characters.'),
  );
});

test('the service indexes people by itself, soon after they were settled', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Soon', people(3));
  await app.syncToEnd(cohort.id);
  app.clock.advance({ seconds: 15 });
  const waiting = () =>
    dbOf(app).selectFrom('sync_batches').select('id').where('is_indexed', '=', false).execute();
  await expect.poll(waiting, { timeout: 60_000 }).toEqual([]);
  expect(await readStory(app.api, { distinctId: 'p1' })).toMatchObject({ history: { totalCount: 1 } });
});
