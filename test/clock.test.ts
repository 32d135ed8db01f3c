import { describe, expect, test } from 'vitest';
import { checkOutcome } from './support/check-run.ts';
import { readExport } from './support/export-operations.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const at = (time: string) => `2030-01-02T${time}:00.000Z`;

const untilDueAt = (app: TestApp, exportId: string, nextRunAt: string) =>
  expect.poll(() => readExport(app, exportId)).toMatchObject({ nextRunAt });

const untilCalls = (app: TestApp, operation: string, count: number) =>
  app.sandbox.calls.until((calls) => calls.filter((call) => call.operation === operation).length >= count);

describe('a clock that is set back an hour', () => {
  test('between two runs delays the next one by no more than an interval, and no beat is kept twice', async () => {
    await using app = await startTestApp({ now: at('10:00') });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(3));
    const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    app.clock.set(at('11:00'));
    expect(await app.untilRuns(exportId, 2)).toMatchObject({ status: 'SUCCEEDED' });
    await untilDueAt(app, exportId, at('11:15'));

    app.clock.set(at('10:02'));
    await untilDueAt(app, exportId, at('10:15'));
    expect((await readExport(app, exportId)).runs.totalCount).toBe(2);
    app.mixpanel.setMembers(cohort.externalId, [...people(2), person('new')]);
    app.clock.set(at('10:15'));
    const run = await app.untilRuns(exportId, 3);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      trigger: 'SCHEDULED',
      counts: { members: 3, added: 1, unchanged: 2, removed: 1 },
      notices: [],
    });
    await checkOutcome(app, run, cohort.listName);
    await untilDueAt(app, exportId, at('10:30'));
  });

  test('in the middle of a run changes nothing about it, nor about the runs after it', async () => {
    await using app = await startTestApp({
      now: at('10:00'),
      env: { ITERABLE_BATCH_SIZE: '2', ITERABLE_CONCURRENCY: '1' },
    });
    await app.connect();
    const cohort = await app.addCohort('Trial', [...people(2, 'stay'), ...people(4, 'old')]);
    const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
    app.clock.set(at('11:00'));
    app.mixpanel.setMembers(cohort.externalId, [...people(2, 'stay'), ...people(4, 'new')]);
    app.sandbox.calls.clear();
    const runId = await app.runExport(exportId);
    await untilCalls(app, 'iterable.unsubscribe', 1);
    app.clock.set(at('10:00'));
    const run = await app.untilOver(runId);
    expect(run).toMatchObject({
      status: 'SUCCEEDED',
      counts: { members: 6, added: 4, unchanged: 2, removed: 4 },
      notices: [],
    });
    await checkOutcome(app, run, cohort.listName);
    expect(app.sandbox.calls.of('iterable.unsubscribe')).toHaveLength(2);
    expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(2);
    expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 6, requestsSent: 0 });
  });

  test('while a new list is not known yet does not end the wait for it', async () => {
    await using app = await startTestApp({ now: at('10:00') });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({
      operation: 'iterable.subscribe',
      reply: { status: 400, body: { msg: 'error.lists.invalidListId(1)', code: 'Success', params: null } },
      times: 2,
    });
    const { runId } = await app.startSync(cohort.id);
    await untilCalls(app, 'iterable.subscribe', 1);
    app.clock.set(at('09:00'));
    const run = await app.untilOver(runId);
    expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
    await checkOutcome(app, run, cohort.listName);
  });

  test('delays the next read of the cohort list by no more than its interval', async () => {
    await using app = await startTestApp({ now: at('10:00') });
    await app.connect();
    app.clock.set(at('09:00'));
    app.mixpanel.addCohort({ name: 'New', members: people(2) });
    await expect
      .poll(async () => (await app.api.query('{ cohorts { edges { node { name } } } }')).cohorts.edges)
      .toEqual([{ node: { name: 'New' } }]);
    expect(app.sandbox.calls.of('mixpanel.cohorts').length).toBeLessThanOrEqual(2);
  });
});

test('a clock that is a day ahead for a while makes one run catch up, and is forgotten when it is put right', async () => {
  await using app = await startTestApp({ now: at('10:00') });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.clock.set('2030-01-03T10:01:00.000Z');
  const ahead = await app.untilRuns(exportId, 2);
  expect(ahead).toMatchObject({ trigger: 'SCHEDULED', counts: { unchanged: 3, added: 0 }, notices: [] });
  // A day has passed, so the list was looked at.
  expect(app.sandbox.calls.of('iterable.getUsers')).toHaveLength(1);
  await untilDueAt(app, exportId, '2030-01-03T10:15:00.000Z');

  app.clock.set(at('10:03'));
  await untilDueAt(app, exportId, at('10:15'));
  app.mixpanel.setMembers(cohort.externalId, people(4));
  app.clock.set(at('10:15'));
  const back = await app.untilRuns(exportId, 3);
  expect(back).toMatchObject({ status: 'SUCCEEDED', counts: { members: 4, added: 1, unchanged: 3 } });
  await checkOutcome(app, back, cohort.listName);
  expect((await readExport(app, exportId)).runs.totalCount).toBe(3);
});

test('an export that was begun by a clock a day ahead runs every interval once it is put right', async () => {
  await using app = await startTestApp({ now: '2030-01-03T10:00:00.000Z' });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.clock.set(at('10:03'));
  await untilDueAt(app, exportId, at('10:15'));
  app.clock.set(at('10:15'));
  expect(await app.untilRuns(exportId, 2)).toMatchObject({ status: 'SUCCEEDED', counts: { unchanged: 3 } });
  await untilDueAt(app, exportId, at('10:30'));
});

test('a comparison that a clock two days ahead has dated keeps nobody from the next one', async () => {
  await using app = await startTestApp({ now: '2030-01-04T10:00:00.000Z' });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { exportId } = await app.syncToEnd(cohort.id, 'ONE_TIME');
  app.clock.set(at('10:00'));
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.add({ email: 'stranger@example.com' }), true);
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { unchanged: 3, added: 0, removed: 1 } });
  await checkOutcome(app, run, cohort.listName);
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: 3, requestsSent: 0 });
});
