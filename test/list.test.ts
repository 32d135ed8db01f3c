import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { startApp } from '../src/app.ts';
import { readEnv } from '../src/env.ts';
import { listNameFor } from '../src/sync/list-name.ts';
import { createApiClient } from './support/api-client.ts';
import { people, person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

async function readExport(app: TestApp, exportId: string) {
  const { export: exported } = await app.api.query(
    'query ($id: ID!) { export(id: $id) { listName listId listNameOutdated listSize } }',
    { id: exportId },
  );
  return exported;
}

describe('the name of a list', () => {
  test('is made of the name and the id of the cohort', () => {
    expect(listNameFor('Trial', '42')).toBe('mixpanel_Trial_42');
  });

  test('longer than 255 is cut within the name, and the id survives', () => {
    const name = listNameFor('n'.repeat(300), '5000001');
    expect(name).toHaveLength(255);
    expect(name).toMatch(/^mixpanel_n+_5000001$/);
  });

  test('of 255 exactly is not cut', () => {
    const cohortName = 'n'.repeat(255 - 'mixpanel__42'.length);
    expect(listNameFor(cohortName, '42')).toBe(`mixpanel_${cohortName}_42`);
  });

  test('is never cut through a character', () => {
    const name = listNameFor(`n${'😀'.repeat(150)}`, '42');
    expect(name.length).toBeLessThanOrEqual(255);
    expect(name.isWellFormed()).toBe(true);
  });
});

test('a list of that name that exists is made equal to the cohort', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const list = app.iterable.addList(cohort.listName);
  for (const email of ['p0@example.com', 'stranger@example.com']) {
    app.iterable.setMember(list, app.iterable.users.add({ email }), true);
  }
  const run = await app.syncToEnd(cohort.id);
  expect(run.counts).toMatchObject({ members: 2, added: 1, unchanged: 1, removed: 1 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['p0@example.com', 'p1@example.com']);
  expect(app.sandbox.calls.of('iterable.createList')).toEqual([]);
  expect(await readExport(app, run.exportId)).toMatchObject({ listId: String(list.id), listSize: 2 });
});

test('of two lists with that name the older one is written to', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const older = app.iterable.addList(cohort.listName);
  const newer = app.iterable.addList(cohort.listName);
  await app.syncToEnd(cohort.id);
  expect([older.members.size, newer.members.size]).toEqual([2, 0]);
});

test.each([true, false])(
  'a creation whose answer is lost makes one list (names must differ: %s)',
  async (refusesDuplicateNames) => {
    await using app = await startTestApp({ iterable: { refusesDuplicateNames } });
    await app.connect();
    const cohort = await app.addCohort('Trial', people(2));
    app.sandbox.faults.add({ operation: 'iterable.createList', drop: 'after', times: 1 });
    const run = await app.syncToEnd(cohort.id);
    expect(run.status).toBe('SUCCEEDED');
    expect([...app.iterable.lists.values()].map((list) => [list.name, list.members.size])).toEqual([
      [cohort.listName, 2],
    ]);
    expect(app.sandbox.calls.of('iterable.createList')).toHaveLength(1);
  },
);

test('a creation that never arrived is asked for again', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  app.sandbox.faults.add({ operation: 'iterable.createList', reply: { status: 503 }, times: 1 });
  const run = await app.syncToEnd(cohort.id);
  expect(run.status).toBe('SUCCEEDED');
  expect(app.iterable.lists.size).toBe(1);
});

test('a creation that is refused fails the run in words', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  app.sandbox.faults.add({
    operation: 'iterable.createList',
    reply: { status: 400, body: { msg: 'Too many lists', code: 'BadParams', params: null } },
  });
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'FAILED', error: { code: 'DESTINATION_UNAVAILABLE' } });
  expect(run.error?.message).toContain('Too many lists');
  expect(app.sandbox.calls.of('iterable.createList')).toHaveLength(1);
});

test('a list deleted between two runs is made anew, with a notice', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const { listId } = await readExport(app, first.exportId);
  app.iterable.deleteList(Number(listId));
  app.mixpanel.setMembers(cohort.externalId, people(4));
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 4, added: 4, unchanged: 0, removed: 0 },
  });
  expect(second.notices).toEqual([expect.stringContaining('made anew')]);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(4);
});

test('a new list that is not known yet is waited for', async () => {
  await using app = await startTestApp({ iterable: { unknownAfterCreateMs: 5_000 } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { runId } = await app.startSync(cohort.id);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.subscribe'));
  app.clock.advance({ seconds: 5 });
  const run = await app.untilOver(runId);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  expect(app.sandbox.calls.of('iterable.subscribe').map((call) => call.status)).toEqual([400, 200]);
});

test('a new list that is unknown for more than a minute is gone', async () => {
  await using app = await startTestApp({ iterable: { unknownAfterCreateMs: 600_000 } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { runId } = await app.startSync(cohort.id);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.subscribe'));
  app.clock.advance({ seconds: 61 });
  expect(await app.untilOver(runId)).toMatchObject({
    status: 'FAILED',
    error: { code: 'DESTINATION_LIST_GONE' },
  });
});

test('after a rename of the cohort the same list goes on', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const before = await readExport(app, first.exportId);
  expect(before.listNameOutdated).toBe(false);
  app.mixpanel.cohorts.get(cohort.externalId)!.name = 'Renamed';
  app.mixpanel.setMembers(cohort.externalId, [...people(2), person('new')]);
  await app.api.query('mutation { refreshCohorts { id } }');
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ added: 1, unchanged: 2 });
  expect(await readExport(app, first.exportId)).toEqual({
    ...before,
    listNameOutdated: true,
    listSize: 3,
  });
  expect(app.iterable.lists.size).toBe(1);
});

test('a run that is handed over while it makes its deleted list anew is finished by the next process', async () => {
  await using app = await startTestApp({ env: { PARTNER_RETRY_BUDGET: '60s' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.iterable.deleteList(app.iterable.list(cohort.listName)!.id);
  app.mixpanel.setMembers(cohort.externalId, [person('a'), person('b'), person('c')]);
  app.sandbox.faults.add({ operation: 'iterable.createList', reply: { status: 503 } });
  app.sandbox.calls.clear();
  const runId = await app.runExport(first.exportId);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  await app.app.stop();
  app.sandbox.faults.clear();

  const next = await startApp({
    env: readEnv(app.env, false),
    logger: pino({ level: 'silent' }),
    clock: app.clock,
  });
  const run = await app.untilOver(runId, createApiClient(next.url!, app.ownerSecret));
  await next.stop();
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 3, added: 3 } });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(3);
});
