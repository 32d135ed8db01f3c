import { describe, expect, test } from 'vitest';
import type { Member } from '../sandbox/mixpanel/project.ts';
import type { AnyData } from './support/api-client.ts';
import { act, readExport, refusal } from './support/export-operations.ts';
import {
  decide,
  expectLedger,
  readGuarded,
  refuseDecision,
  runUntilHeld,
  untilHeld,
} from './support/held-run.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const GUARD = { maxShare: 0.5, minRemovals: 3 };

async function start(
  first: Member[],
  options: Parameters<typeof startTestApp>[0] & { syncType?: 'ONE_TIME' | 'DYNAMIC' } = {},
) {
  const app = await startTestApp(options);
  await app.connectIterable({ removalGuard: GUARD });
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
  const cohort = await app.addCohort('Trial', first);
  const { exportId } = await app.syncToEnd(cohort.id, options.syncType ?? 'ONE_TIME');
  app.sandbox.calls.clear();
  return {
    app,
    cohort,
    exportId,
    setMembers: (members: Member[]) => app.mixpanel.setMembers(cohort.externalId, members),
    onList: () => app.iterable.membersOf(cohort.listName).sort(),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

const emails = (members: Member[]) => members.map((member) => String(member.properties?.$email)).sort();

function unsubscribed(app: TestApp): string[] {
  return app.sandbox.calls
    .of('iterable.unsubscribe')
    .flatMap((call) => call.subscribers ?? [])
    .map((subscriber) => subscriber.email ?? '')
    .sort();
}

/** Addresses of those who wait, page by page. */
async function readPending(app: TestApp, runId: string): Promise<string[]> {
  const found: string[] = [];
  let after: string | null = null;
  do {
    const answer: { syncRun: { pendingRemovals: AnyData } } = await app.api.query(
      `query ($id: ID!, $after: String) { syncRun(id: $id) { pendingRemovals(first: 3, after: $after) {
        totalCount edges { node { distinctId email userId } } pageInfo { hasNextPage endCursor } } } }`,
      { id: runId, after },
    );
    const { edges, pageInfo } = answer.syncRun.pendingRemovals;
    found.push(...edges.map(({ node }: AnyData) => node.email));
    after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
  } while (after !== null);
  return found.sort();
}

describe('a run that would remove more than the guard allows', () => {
  test('adds, waits and is shown waiting; nobody leaves and no other run begins before it is approved', async () => {
    await using world = await start(people(10), { syncType: 'DYNAMIC' });
    const { app, exportId } = world;
    const members = [...people(3), person('new1'), person('new2')];
    world.setMembers(members);
    const held = await runUntilHeld(app, exportId);
    expect(held).toMatchObject({
      status: 'AWAITING_APPROVAL',
      phase: 'WAITING',
      counts: { members: 5, added: 2, unchanged: 3, removed: 0, notProcessed: 0, pendingRemovals: 7 },
      notices: [
        'The removal of 7 of the 12 people on the list was held: it is more than the removal guard allows without approval.',
      ],
    });
    expect(world.onList()).toEqual(emails([...people(10), person('new1'), person('new2')]));
    expect(await readGuarded(app, exportId)).toEqual({
      listSize: 12,
      keptCount: 0,
      delay: {
        reason:
          'The removal of 7 people waits for approveRemovals or discardRemovals; no other run begins before.',
        achievableIntervalMinutes: 15,
      },
    });
    const running = { code: 'SYNC_ALREADY_RUNNING', runId: held.id, status: 'AWAITING_APPROVAL' };
    expect(await refusal(app, 'run', exportId)).toMatchObject(running);
    const { message } = await app.api.fail('mutation ($id: ID!) { runExport(exportId: $id) { id } }', {
      id: exportId,
    });
    expect(message).toMatch(/waits for a decision.*approveRemovals or discardRemovals/);
    expect(await refusal(app, 'startDynamic', world.cohort.id)).toMatchObject(running);
    const { nextRunAt } = await readExport(app, exportId);
    app.clock.advance({ minutes: 20 });
    await expect
      .poll(async () => (await readExport(app, exportId)).nextRunAt, { timeout: 60_000 })
      .not.toBe(nextRunAt);
    expect((await readExport(app, exportId)).runs.totalCount).toBe(2);
    expect(app.sandbox.calls.of('iterable.unsubscribe')).toEqual([]);
    expect(await readPending(app, held.id)).toEqual(emails(people(10).slice(3)));

    const run = await decide(app, held.id, 'approve');
    expect(await readPending(app, held.id)).toEqual([]);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 5, added: 2, unchanged: 3, removed: 7, notProcessed: 0, pendingRemovals: 0 },
    });
    expect(world.onList()).toEqual(emails(members));
    await expectLedger(app, run);
    expect(await readGuarded(app, exportId)).toEqual({ listSize: 5, keptCount: 0, delay: null });
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 5, requestsSent: 0 });
  });

  test.each([
    { what: 'as many as the share allows', left: 5, held: false },
    { what: 'one more', left: 4, held: true },
    { what: 'all of them', left: 0, held: true },
  ])('$what: held is $held', async ({ left, held }) => {
    await using world = await start(people(10));
    world.setMembers(people(left));
    const runId = await world.app.runExport(world.exportId);
    if (held) expect((await untilHeld(world.app, runId)).counts.pendingRemovals).toBe(10 - left);
    else expect((await world.app.untilOver(runId)).counts.removed).toBe(10 - left);
    expect(world.onList()).toHaveLength(held ? 10 : left);
  });

  test('fewer than minRemovals are never held', async () => {
    await using world = await start(people(2));
    world.setMembers([]);
    expect(await world.app.runToEnd(world.exportId)).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 0, removed: 2 },
    });
  });

  test('people whom others have put on the list count as well', async () => {
    await using world = await start(people(3), { env: { DRIFT_CHECK_INTERVAL: '0s' } });
    const { app, cohort, exportId } = world;
    const list = app.iterable.list(cohort.listName)!;
    for (const email of emails(people(5, 'stranger')))
      app.iterable.setMember(list, app.iterable.users.add({ email }), true);
    const held = await runUntilHeld(app, exportId);
    expect(held.counts).toMatchObject({ unchanged: 3, removed: 0, pendingRemovals: 5 });
    const run = await decide(app, held.id, 'approve');
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { unchanged: 3, removed: 5 } });
    expect(world.onList()).toEqual(emails(people(3)));
    expect((await app.readLedger(run.id)).map((member) => member.detail)).toEqual(
      Array(5).fill('Drift: they had been put on the list without a run.'),
    );
  });

  test('a list that is emptied on demand is not held', async () => {
    await using world = await start(people(10));
    await act(world.app, 'empty', world.exportId);
    expect(await world.app.untilRuns(world.exportId, 2)).toMatchObject({
      status: 'SUCCEEDED',
      counts: { removed: 10, pendingRemovals: 0 },
    });
    expect(world.onList()).toEqual([]);
  });
});

describe('after an approval the cohort is read again', () => {
  test('who qualifies again stays, newcomers are added, and who left meanwhile waits for the next run', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    world.setMembers([...people(3), person('new')]);
    const held = await runUntilHeld(app, exportId);
    expect(held.counts).toMatchObject({ members: 4, added: 1, unchanged: 3, pendingRemovals: 7 });
    // p0 has left meanwhile and p9 is back.
    const members = [person('p1'), person('p2'), person('new'), person('p9'), person('late')];
    world.setMembers(members);
    const run = await decide(app, held.id, 'approve');
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 5, added: 2, unchanged: 3, removed: 6, notProcessed: 0, pendingRemovals: 0 },
    });
    expect(world.onList()).toEqual(emails([...members, person('p0')]));
    await expectLedger(app, run);
    const next = await app.runToEnd(exportId);
    expect(next.counts).toMatchObject({ unchanged: 5, removed: 1, added: 0 });
    expect(world.onList()).toEqual(emails(members));
  });

  test('a read that fails removes nobody, and the next run plans anew', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    world.setMembers(people(3));
    const held = await runUntilHeld(app, exportId);
    app.sandbox.faults.add({ operation: 'mixpanel.engage', reply: { status: 500 } });
    expect(await decide(app, held.id, 'approve')).toMatchObject({
      status: 'FAILED',
      error: { code: 'SOURCE_UNAVAILABLE' },
      counts: { removed: 0, pendingRemovals: 0 },
    });
    expect(world.onList()).toEqual(emails(people(10)));
    app.sandbox.faults.clear();
    expect((await runUntilHeld(app, exportId)).counts).toMatchObject({ unchanged: 3, pendingRemovals: 7 });
    expect(app.sandbox.calls.of('iterable.unsubscribe')).toEqual([]);
  });

  test('everybody is back: nothing is left to be removed', async () => {
    await using world = await start(people(10));
    world.setMembers(people(3));
    const held = await runUntilHeld(world.app, world.exportId);
    world.setMembers(people(10));
    expect(await decide(world.app, held.id, 'approve')).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 10, unchanged: 10, removed: 0, added: 0, pendingRemovals: 0, requestsSent: 0 },
    });
  });

  test('people whom the run had rejected or added before are counted once', async () => {
    await using world = await start(people(10));
    const { app } = world;
    world.setMembers([...people(3), { distinctId: 'nobody' }, person('new')]);
    const held = await runUntilHeld(app, world.exportId);
    expect(held.counts).toMatchObject({ members: 5, added: 1, unchanged: 3, rejected: 1 });
    world.setMembers([...people(3), { distinctId: 'nobody' }, { distinctId: 'other' }]);
    const run = await decide(app, held.id, 'approve');
    // "new" has left again: on the list until the next run, and no member any more.
    expect(run).toMatchObject({
      status: 'PARTIALLY_SUCCEEDED',
      counts: { members: 5, added: 0, unchanged: 3, rejected: 2, removed: 7 },
    });
    expect(world.onList()).toEqual(emails([...people(3), person('new')]));
  });
});

describe('a person whose identity changed', () => {
  const renamed = (id: string) => person(id, { $email: `${id}@new.example.com` });

  test('is no removal for the guard: a run that renames everybody is not held', async () => {
    await using world = await start(people(10));
    world.setMembers(people(10).map(({ distinctId }) => renamed(distinctId)));
    expect(await world.app.runToEnd(world.exportId)).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 10, added: 10, removed: 10, pendingRemovals: 0 },
    });
    expect(world.onList()).toHaveLength(10);
  });

  test('goes first in a run that is held, the removal before the addition', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    const members = [person('p0'), renamed('p1'), renamed('p2'), person('new')];
    world.setMembers(members);
    const held = await runUntilHeld(app, exportId);
    expect(held.counts).toMatchObject({ members: 4, added: 3, unchanged: 1, removed: 2, pendingRemovals: 7 });
    expect(unsubscribed(app)).toEqual(['p1@example.com', 'p2@example.com']);
    expect(app.sandbox.calls.all.map((call) => call.operation)).toEqual([
      'mixpanel.engage',
      'iterable.listLists',
      'iterable.unsubscribe',
      'iterable.subscribe',
    ]);
    const run = await decide(app, held.id, 'approve');
    expect(run.counts).toMatchObject({ members: 4, added: 3, unchanged: 1, removed: 9 });
    await expectLedger(app, run);
    expect(world.onList()).toEqual(emails(members));
  });

  test('after an approval too, though nobody had approved that', async () => {
    await using world = await start(people(10));
    world.setMembers(people(3));
    const held = await runUntilHeld(world.app, world.exportId);
    const members = [person('p0'), person('p1'), renamed('p2')];
    world.setMembers(members);
    const run = await decide(world.app, held.id, 'approve');
    expect(run.counts).toMatchObject({ members: 3, added: 1, unchanged: 2, removed: 8 });
    expect(world.onList()).toEqual(emails(members));
    await expectLedger(world.app, run);
  });
});

describe('an addition that shares something with a pending removal waits with it', () => {
  async function startSharing() {
    const before = people(10).map((member, index) =>
      person(member.distinctId, { $iterable_user_id: `u${index}` }),
    );
    const world = await start(before);
    const members = [
      ...before.slice(0, 3),
      // Has taken over the userId of somebody who is to leave.
      person('heir', { $iterable_user_id: 'u9' }),
      person('new', { $iterable_user_id: 'fresh' }),
    ];
    world.setMembers(members);
    const held = await runUntilHeld(world.app, world.exportId);
    expect(held.counts).toMatchObject({
      members: 5,
      added: 1,
      unchanged: 3,
      notProcessed: 1,
      pendingRemovals: 7,
    });
    expect(world.onList()).not.toContain('heir@example.com');
    expect(world.onList()).toContain('new@example.com');
    return { ...world, members, held, before };
  }

  test('and follows it when it is approved', async () => {
    await using world = await startSharing();
    const run = await decide(world.app, world.held.id, 'approve');
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 5, added: 2, unchanged: 3, removed: 7, notProcessed: 0 },
    });
    expect(world.onList()).toEqual(emails(world.members));
    await expectLedger(world.app, run);
  });

  test('and is sent when it is discarded', async () => {
    await using world = await startSharing();
    const run = await decide(world.app, world.held.id, 'discard');
    expect(run).toMatchObject({
      status: 'PARTIALLY_SUCCEEDED',
      counts: { members: 5, added: 2, unchanged: 3, removed: 0, notProcessed: 0, pendingRemovals: 7 },
    });
    expect(world.onList()).toEqual(emails([...world.before, person('heir'), person('new')]));
    await expectLedger(world.app, run);
  });
});

describe('people whose removal was discarded', () => {
  async function startKept() {
    const world = await start(people(10));
    world.setMembers(people(3));
    const held = await runUntilHeld(world.app, world.exportId);
    expect(await decide(world.app, held.id, 'discard')).toMatchObject({
      status: 'PARTIALLY_SUCCEEDED',
      counts: { members: 3, unchanged: 3, removed: 0, pendingRemovals: 7, requestsSent: 0 },
    });
    expect(await readGuarded(world.app, world.exportId)).toEqual({ listSize: 10, keptCount: 7, delay: null });
    return world;
  }

  test('stay, run after run, until somebody asks for them to go', async () => {
    await using world = await startKept();
    const { app, exportId } = world;
    world.setMembers(people(2));
    // One more has left: that is no reason to hold, nor to remove the others.
    expect(await app.runToEnd(exportId)).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 2, unchanged: 2, removed: 1, pendingRemovals: 0 },
    });
    expect(await readGuarded(app, exportId)).toMatchObject({ listSize: 9, keptCount: 7 });
    expect((await app.runToEnd(exportId)).counts).toMatchObject({
      unchanged: 2,
      removed: 0,
      requestsSent: 0,
    });

    const { runExport } = await app.api.query(
      'mutation ($id: ID!) { runExport(exportId: $id, includeKept: true) { id } }',
      { id: exportId },
    );
    const held = await untilHeld(app, runExport.id);
    expect(held.counts).toMatchObject({ unchanged: 2, removed: 0, pendingRemovals: 7 });
    expect((await decide(app, held.id, 'approve')).counts).toMatchObject({ unchanged: 2, removed: 7 });
    expect(world.onList()).toEqual(emails(people(2)));
    expect(await readGuarded(app, exportId)).toMatchObject({ listSize: 2, keptCount: 0 });
  });

  test('leave as everybody does once they have qualified again', async () => {
    await using world = await startKept();
    const { app, exportId } = world;
    world.setMembers([...people(3), person('p8'), person('p9')]);
    expect((await app.runToEnd(exportId)).counts).toMatchObject({
      members: 5,
      unchanged: 5,
      requestsSent: 0,
    });
    expect(await readGuarded(app, exportId)).toMatchObject({ listSize: 10, keptCount: 5 });
    world.setMembers(people(3));
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, removed: 2 });
    expect(world.onList()).toEqual(emails(people(8)));
    expect(await readGuarded(app, exportId)).toMatchObject({ listSize: 8, keptCount: 5 });
  });

  test('and qualify again under another address are on the list once', async () => {
    await using world = await startKept();
    const { app, exportId } = world;
    const members = [...people(3), person('p9', { $email: 'other@example.com' })];
    world.setMembers(members);
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, added: 1, removed: 1 });
    expect(world.onList()).toEqual(emails([...people(9), members[3]!]));
    expect(await readGuarded(app, exportId)).toMatchObject({ listSize: 10, keptCount: 6 });
  });

  test('leave with everybody when the list is emptied', async () => {
    await using world = await startKept();
    await act(world.app, 'empty', world.exportId);
    expect(await world.app.untilRuns(world.exportId, 3)).toMatchObject({ counts: { removed: 10 } });
    expect(await readGuarded(world.app, world.exportId)).toMatchObject({ listSize: 0, keptCount: 0 });
  });
});

describe('a held run', () => {
  test('that is cancelled ends at once; nobody is removed or kept, and the next run is held anew', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    world.setMembers([...people(3), person('new')]);
    const held = await runUntilHeld(app, exportId);
    const run = await decide(app, held.id, 'cancel');
    expect(run).toMatchObject({
      status: 'CANCELLED',
      counts: { members: 4, added: 1, unchanged: 3, removed: 0, pendingRemovals: 0 },
    });
    await expectLedger(app, run);
    expect(await readGuarded(app, exportId)).toEqual({ listSize: 11, keptCount: 0, delay: null });
    expect((await runUntilHeld(app, exportId)).counts).toMatchObject({ unchanged: 4, pendingRemovals: 7 });
  });

  test('fails when Iterable is disconnected', async () => {
    await using world = await start(people(10));
    world.setMembers(people(3));
    const held = await runUntilHeld(world.app, world.exportId);
    await world.app.api.query('mutation { disconnectIntegration(input: {}) { id } }');
    expect(await world.app.untilOver(held.id)).toMatchObject({
      status: 'FAILED',
      error: { code: 'INTEGRATION_DISCONNECTED' },
      counts: { pendingRemovals: 0, removed: 0 },
    });
    expect(await refuseDecision(world.app, held.id, 'approve')).toMatchObject({
      code: 'INTEGRATION_NOT_CONNECTED',
    });
  });

  test('ends with its export when that is stopped', async () => {
    await using world = await start(people(10));
    world.setMembers(people(3));
    const held = await runUntilHeld(world.app, world.exportId);
    expect(await act(world.app, 'keep', world.exportId)).toMatchObject({ status: 'STOPPED', listSize: 10 });
    expect(await world.app.readRun(held.id)).toMatchObject({ status: 'CANCELLED' });
  });

  test('is decided about once, and only by those who may', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    const runs = await app.api.query('{ syncRuns(first: 1) { edges { node { id } } } }');
    const over = runs.syncRuns.edges[0].node.id;
    for (const decision of ['approve', 'discard'] as const)
      expect(await refuseDecision(app, over, decision)).toMatchObject({ code: 'INVALID_STATE' });
    world.setMembers(people(3));
    const held = await runUntilHeld(app, exportId);
    const { secret } = await makeToken(app, 'ANALYST');
    expect(await refuseDecision(app, held.id, 'approve', secret)).toMatchObject({ code: 'FORBIDDEN' });
    const decisions = await Promise.allSettled([
      decide(app, held.id, 'discard'),
      decide(app, held.id, 'discard'),
    ]);
    expect(decisions.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await readGuarded(app, exportId)).toMatchObject({ keptCount: 7 });
  });

  test('is not sent on to another Iterable project that was connected meanwhile', async () => {
    await using world = await start(people(10));
    const { app, exportId } = world;
    const heir = person('heir', { $iterable_user_id: 'u' });
    world.setMembers([...people(3), heir]);
    const held = await runUntilHeld(app, exportId);
    const other = app.sandbox.iterable.addProject({ type: 'EMAIL' });
    await app.connectIterable({ apiKey: other.addKey(), removalGuard: GUARD });
    const run = await decide(app, held.id, 'approve');
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 4, added: 4, removed: 0 } });
    expect(other.membersOf(world.cohort.listName).sort()).toEqual(emails([...people(3), heir]));
    expect(world.onList()).toEqual(emails([...people(10), heir]));
  });
});
