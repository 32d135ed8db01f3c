import pg from 'pg';
import { describe, expect, test } from 'vitest';
import type { Member } from '../sandbox/mixpanel/project.ts';
import { createRandom } from '../sandbox/random.ts';
import { decide, runUntilHeld } from './support/held-run.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const PREVIEW = `mutation ($id: ID!) { previewSync(input: { cohortId: $id }) {
  members toAdd toRemove unchanged rejected wouldBeHeld estimatedRequests estimatedSeconds
  rejectedByReason { reason count } } }`;

interface Preview {
  members: number;
  toAdd: number;
  toRemove: number;
  unchanged: number;
  rejected: number;
  wouldBeHeld: boolean;
  estimatedRequests: number;
  estimatedSeconds: number;
  rejectedByReason: { reason: string; count: number }[];
}

async function preview(app: TestApp, cohortId: string): Promise<Preview> {
  return (await app.api.query(PREVIEW, { id: cohortId })).previewSync;
}

const refusal = async (app: TestApp, id: string, api = app.api) =>
  (await api.fail(PREVIEW, { id })).extensions;

/** Everything that the service keeps. */
async function dump(app: TestApp): Promise<string> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  const tables = ['cohorts', 'exports', 'sync_runs', 'sync_batches', 'rejections', 'integrations'];
  const all: unknown[] = [];
  for (const table of tables) {
    const { rows } = await client.query(
      `select coalesce(json_agg(t order by id), '[]') as rows from ${table} t`,
    );
    all.push(rows[0].rows);
  }
  await client.end();
  return JSON.stringify(all);
}

const READS = new Set(['mixpanel.engage', 'iterable.listLists', 'iterable.getUsers']);

/** The preview, which must leave everything as it was. */
async function previewOnly(app: TestApp, cohortId: string): Promise<Preview> {
  app.sandbox.calls.clear();
  const before = await dump(app);
  const result = await preview(app, cohortId);
  expect(await dump(app)).toBe(before);
  expect(app.sandbox.calls.all.filter((call) => !READS.has(call.operation))).toEqual([]);
  app.sandbox.calls.clear();
  return result;
}

const countBy = (reasons: string[]) =>
  [...new Set(reasons)]
    .map((reason) => ({ reason, count: reasons.filter((one) => one === reason).length }))
    .sort((left, right) => left.reason.localeCompare(right.reason));

/** Runs the cohort (again), and expects of the run what the preview has said. A run that is held is approved. */
async function expectRunLike(app: TestApp, cohortId: string, said: Preview): Promise<void> {
  const { runId } = await app.startSync(cohortId);
  const over = said.wouldBeHeld ? undefined : await app.untilOver(runId);
  const run = over ?? (await runUntilHeldOf(app, runId));
  const { members, added, unchanged, removed, rejected, pendingRemovals, requestsSent, notProcessed } =
    run.counts;
  expect({
    members,
    toAdd: added + notProcessed,
    toRemove: removed + pendingRemovals,
    unchanged,
    rejected,
  }).toEqual({
    members: said.members,
    toAdd: said.toAdd,
    toRemove: said.toRemove,
    unchanged: said.unchanged,
    rejected: said.rejected,
  });
  const reasons = (await app.readLedger(runId, { outcome: 'REJECTED' })).map((member) => member.reason!);
  const told = said.rejectedByReason.toSorted((left, right) => left.reason.localeCompare(right.reason));
  expect(countBy(reasons)).toEqual(told);
  if (over) expect(requestsSent).toBe(said.estimatedRequests);
  else await decide(app, runId, 'approve');
}

async function runUntilHeldOf(app: TestApp, runId: string) {
  await expect
    .poll(async () => (await app.readRun(runId)).status, { timeout: 60_000 })
    .toBe('AWAITING_APPROVAL');
  return await app.readRun(runId);
}

describe.each([
  { type: 'EMAIL' as const, seed: 21 },
  { type: 'HYBRID' as const, seed: 22 },
  { type: 'USER_ID' as const, seed: 23 },
])('in a project of type $type', ({ type, seed }) => {
  test('the run that follows reports what the preview has said, over a random history', {
    timeout: 120_000,
  }, async () => {
    const random = createRandom(seed);
    const chance = (share: number) => random() < share;
    await using app = await startTestApp({
      iterable: { type },
      // The scheduler would index people meanwhile.
      env: {
        ROLES: 'gateway,worker',
        ITERABLE_BATCH_SIZE: '5',
        DRIFT_CHECK_INTERVAL: '1h',
        COHORT_REFRESH_INTERVAL: '100h',
      },
      mixpanel: { defaultPageSize: 9 },
    });
    await app.connectIterable({ removalGuard: { maxShare: 0.4, minRemovals: 4 } });
    await app.connectMixpanel({ idMerge: 'ORIGINAL' });
    const cohort = await app.addCohort('Trial', []);
    /** Of everybody there is some are in the cohort; some share an identity, some have none or a bad one. */
    const draw = (share: number): Member[] =>
      Array.from({ length: 40 }, (_, index) => index)
        .filter(() => chance(share))
        .map((index) => {
          const properties: Record<string, unknown> = {};
          if (chance(0.9)) properties.$email = chance(0.1) ? 'no address' : `p${index % 36}@example.com`;
          if (chance(type === 'USER_ID' ? 0.9 : 0.5)) properties.$iterable_user_id = `u${index % 36}`;
          return { distinctId: `d${index}`, properties };
        });
    let held = 0;
    for (let round = 0; round < 5; round++) {
      app.mixpanel.setMembers(cohort.externalId, draw(round === 2 ? 0.25 : 0.7));
      // Then the list is compared. Those of the others would be read both ways, at five reads a minute.
      if (round === 3 && type === 'EMAIL') app.clock.advance({ hours: 1 });
      const said = await previewOnly(app, cohort.id);
      expect(said.members).toBe(said.toAdd + said.unchanged + said.rejected);
      if (said.wouldBeHeld) held++;
      await expectRunLike(app, cohort.id, said);
      const again = await previewOnly(app, cohort.id);
      expect(again).toMatchObject({ toAdd: 0, toRemove: 0, wouldBeHeld: false, estimatedRequests: 0 });
    }
    expect(held).toBeGreaterThan(0);
  });
});

describe('the list as a run would find it', () => {
  async function start(first: Member[]) {
    const app = await startTestApp({ env: { ROLES: 'gateway,worker' } });
    await app.connect();
    const cohort = await app.addCohort('Trial', first);
    return { app, cohort, [Symbol.asyncDispose]: () => app[Symbol.asyncDispose]() };
  }
  const putOn = (app: TestApp, listName: string, ids: string[]) => {
    const list = app.iterable.list(listName) ?? app.iterable.addList(listName);
    for (const id of ids)
      app.iterable.setMember(list, app.iterable.users.add({ email: `${id}@example.com` }), true);
  };

  test('of a cohort that was never exported, when there is none', async () => {
    await using world = await start([...people(3), { distinctId: 'nobody' }]);
    const said = await previewOnly(world.app, world.cohort.id);
    expect(said).toMatchObject({
      members: 4,
      toAdd: 3,
      toRemove: 0,
      unchanged: 0,
      rejected: 1,
      rejectedByReason: [{ reason: 'MISSING_EMAIL', count: 1 }],
      estimatedRequests: 3,
    });
    await expectRunLike(world.app, world.cohort.id, said);
  });

  test('of a cohort that was never exported, when one of its name is there with others on it', async () => {
    await using world = await start(people(3));
    putOn(world.app, world.cohort.listName, ['p0', 'stranger']);
    const said = await previewOnly(world.app, world.cohort.id);
    expect(said).toMatchObject({ toAdd: 2, toRemove: 1, unchanged: 1 });
    await expectRunLike(world.app, world.cohort.id, said);
  });

  test.each([
    { what: 'nothing has changed, and nobody looks', members: people(3), toAdd: 0 },
    { what: 'somebody has joined', members: people(4), toAdd: 4 },
  ])('when it was deleted: $what', async ({ members, toAdd }) => {
    await using world = await start(people(3));
    const { app, cohort } = world;
    await app.syncToEnd(cohort.id);
    app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
    app.mixpanel.setMembers(cohort.externalId, members);
    const said = await previewOnly(app, cohort.id);
    expect(said).toMatchObject({ toAdd, unchanged: 3 - Math.min(toAdd, 3) });
    await expectRunLike(app, cohort.id, said);
  });
});

describe('what stands in the way of a run stands in the way of its preview', () => {
  test('a run that is going or held, another role, no connection', async () => {
    await using app = await startTestApp();
    await app.connectIterable({ removalGuard: { maxShare: 0, minRemovals: 1 } });
    const unknown = Buffer.from('Cohort:1').toString('base64');
    expect(await refusal(app, unknown)).toMatchObject({ code: 'NOT_FOUND' });
    await app.connectMixpanel();
    const cohort = await app.addCohort('Trial', people(2));
    const { api } = await makeToken(app, 'ANALYST');
    expect(await refusal(app, cohort.id, api)).toMatchObject({ code: 'FORBIDDEN' });
    const { exportId } = await app.syncToEnd(cohort.id);
    app.mixpanel.setMembers(cohort.externalId, people(1));
    const held = await runUntilHeld(app, exportId);
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'SYNC_ALREADY_RUNNING', runId: held.id });
    await decide(app, held.id, 'cancel');
    await app.api.query('mutation { disconnectMixpanel { id } }');
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'MIXPANEL_NOT_CONNECTED' });
    await app.api.query('mutation { disconnectIntegration(input: {}) { id } }');
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'INTEGRATION_NOT_CONNECTED' });
  });

  test('a cohort in which nobody has an identity', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', [{ distinctId: 'a' }, { distinctId: 'b' }]);
    const error = await app.api.fail(PREVIEW, { id: cohort.id });
    expect(error.extensions).toMatchObject({ code: 'INVALID_STATE' });
    expect(error.message).toContain('$email');
  });

  test('a budget of queries that is used up', async () => {
    await using app = await startTestApp({ env: { MIXPANEL_QUERIES_PER_HOUR: '3' } });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    await preview(app, cohort.id);
    const { code, retryAfterSeconds } = await refusal(app, cohort.id);
    expect({ code, retryAfterSeconds }).toEqual({ code: 'RATE_LIMITED', retryAfterSeconds: 3600 });
  });

  test('a partner that refuses the credentials, which the connection shows', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'mixpanel.engage', reply: { status: 401 }, times: 1 });
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'INVALID_CREDENTIALS' });
    expect(await app.api.query('{ mixpanel { status } }')).toEqual({
      mixpanel: { status: 'NEEDS_ATTENTION' },
    });
    app.sandbox.faults.add({ operation: 'iterable.listLists', reply: { status: 401 }, times: 1 });
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'INVALID_CREDENTIALS' });
    const { integration } = await app.api.query('{ integration(provider: ITERABLE) { status } }');
    expect(integration).toEqual({ status: 'NEEDS_ATTENTION' });
    expect(await preview(app, cohort.id)).toMatchObject({ toAdd: 2 });
  });

  test('a partner that is away for more than ten seconds', async () => {
    await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '5m' } });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'mixpanel.engage', reply: { status: 500 } });
    expect(await refusal(app, cohort.id)).toMatchObject({ code: 'PARTNER_UNAVAILABLE' });
    app.sandbox.faults.clear();
    expect(await preview(app, cohort.id)).toMatchObject({ members: 2 });
  });
});

test('a preview stands in nobody’s way: the run that begins while it reads is not held up', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [...people(2), person('late')]);
  app.sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: 3_000, times: 1 });
  const asked = preview(app, cohort.id);
  await expect.poll(() => app.sandbox.calls.of('iterable.listLists').length).toBe(1);
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3 } });
  // It had looked before the list was made.
  expect(await asked).toMatchObject({ members: 3 });
});
