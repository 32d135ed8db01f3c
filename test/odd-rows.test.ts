import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { createPusher, pushed, pushedCohort } from './support/mixpanel-push.ts';
import { SOON } from './support/mixpanel-waits.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const COHORTS = '{ cohorts { edges { node { externalId name description memberCount present } } } }';
const REFRESH = 'mutation { refreshCohorts { externalId name } }';
const cohortsOf = async (app: TestApp) =>
  (await app.api.query(COHORTS)).cohorts.edges.map(({ node }: { node: unknown }) => node);
const warningOf = async (app: TestApp) => (await app.api.query('{ mixpanel { warning } }')).mixpanel.warning;

const row = (id: unknown, changed: Record<string, unknown> = {}) => ({
  ...{ id, project_id: 1, name: `C${id}`, description: '', data_group_id: null, count: 1, is_visible: 1 },
  ...changed,
});
const listNext = (app: TestApp, body: unknown) =>
  app.sandbox.faults.add({ operation: 'mixpanel.cohorts', times: 1, reply: { status: 200, body } });

describe('the cohort list', () => {
  test('is read without its odd rows, which are told of until it has none', async () => {
    await using app = await startTestApp();
    await app.connect();
    listNext(app, [
      row(90),
      row(91, { name: null }),
      row(92, { count: -1, is_visible: 'often', created: null }),
      row(93, { count: 3_000_000_000, description: 7 }),
      row(94, { count: 'many', data_group_id: undefined }),
      null,
      'C95',
      row(undefined),
      row(1.5),
      row('96', { description: null }),
      row('9\u00007'),
      row('9'.repeat(9_000)),
      row(''),
    ]);
    await app.api.query(REFRESH);
    const cohort = (id: number, memberCount: number | null) => ({
      externalId: String(id),
      name: `C${id}`,
      description: '',
      memberCount,
      present: true,
    });
    expect(await cohortsOf(app)).toEqual([
      cohort(90, 1),
      cohort(92, null),
      cohort(93, null),
      cohort(94, null),
      cohort(96, 1),
    ]);
    expect(await warningOf(app)).toBe(
      'Of the cohorts that Mixpanel lists 8 could not be read (91): they have no name or no id. They are left out, or stay as they were.',
    );
    listNext(app, [row(90)]);
    await app.api.query(REFRESH);
    expect(await warningOf(app)).toBeNull();
  });

  test('that shows a known cohort without its name leaves it as it was, and its export goes on', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Known', people(2));
    const { exportId } = await app.syncToEnd(cohort.id);
    listNext(app, [row(cohort.externalId, { name: null })]);
    await app.api.query(REFRESH);
    expect(await cohortsOf(app)).toMatchObject([{ name: 'Known', present: true }]);
    expect(await app.runToEnd(exportId)).toMatchObject({ status: 'SUCCEEDED' });
  });

  test('that is none is refused, and what was known stays', async () => {
    await using app = await startTestApp();
    await app.connect();
    await app.addCohort('Known', people(2));
    listNext(app, { cohorts: [] });
    const { message } = await app.api.fail(REFRESH);
    expect(message).toMatch(/cohorts: the body is no array/);
    expect(await cohortsOf(app)).toMatchObject([{ name: 'Known', present: true }]);
  });
});

const answerOnce = (app: TestApp, results: unknown[], times = 1) =>
  app.sandbox.faults.add({
    operation: 'mixpanel.engage',
    times,
    reply: {
      status: 200,
      body: { results, page: 0, session_id: 's', page_size: 1000, total: results.length, status: 'ok' },
    },
  });

test('a member without a distinct_id is left out, counted by the total, and told of', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Odd', people(1));
  const results = [
    { $distinct_id: null, $properties: { $email: 'a@example.com' } },
    { $properties: { $email: 'b@example.com' } },
    null,
    { $distinct_id: ['x'] },
    { $distinct_id: '', $properties: { $email: 'c@example.com' } },
    { $distinct_id: '', $properties: { $email: 'd@example.com' } },
    { $distinct_id: ' ', $properties: { $email: 'e@example.com' } },
    { $distinct_id: 'v', $properties: { $email: 'v@example.com' } },
    { $distinct_id: 'w', $properties: null },
  ];
  answerOnce(app, results);
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({
    status: 'PARTIALLY_SUCCEEDED',
    counts: { members: 2, added: 1, rejected: 1 },
    notices: [
      'Rows of the cohort that were left out, because they have no distinct_id that says whom they name: 7.',
    ],
  });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['v@example.com']);
});

test('a cohort of nothing but rows that name nobody empties no list', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Full', people(5));
  const { exportId } = await app.syncToEnd(cohort.id);
  const nobody = { $properties: { $email: 'a@example.com' } };
  answerOnce(app, [nobody, nobody, nobody, nobody, nobody], 2);
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({
    status: 'FAILED',
    counts: { removed: 0 },
    error: { code: 'SOURCE_INCOMPLETE' },
  });
  expect(run.error!.message).toContain('none of its 5 rows names anybody');
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(5);
  app.mixpanel.setMembers(cohort.externalId, []);
  expect(await app.runToEnd(exportId)).toMatchObject({ status: 'SUCCEEDED', counts: { removed: 5 } });
});

test('lists of Iterable without a name or a type are passed over', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const lists = [{ id: 7, name: null, listType: 'Standard' }, { id: 8, name: 'x', listType: null }, null, {}];
  app.sandbox.faults.add({ operation: 'iterable.listLists', reply: { status: 200, body: { lists } } });
  expect(await app.syncToEnd(cohort.id)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
});

describe('a read of a cohort that Mixpanel refuses', () => {
  const refuse = (app: TestApp) =>
    app.sandbox.faults.add({
      operation: 'mixpanel.engage',
      times: 1,
      reply: { status: 400, body: { error: 'workspace_id is required for <b>this</b> project' } },
    });

  test('though it lists it is no deleted one: its own words are told', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Listed', people(2));
    refuse(app);
    const run = await app.syncToEnd(cohort.id);
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'SOURCE_UNAVAILABLE', retryable: true } });
    expect(run.error!.message).toBe(
      'Mixpanel refused to read the cohort, which it lists: Mixpanel answered 400 (workspace_id is required for this project). The list stays as it is; the next run tries again.',
    );
    expect(await app.runToEnd(run.exportId)).toMatchObject({ status: 'SUCCEEDED' });
  });

  test('while its list cannot be read either is told without a guess', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Unknown', people(2));
    refuse(app);
    app.sandbox.faults.add({ operation: 'mixpanel.cohorts', reply: { status: 401 } });
    const run = await app.syncToEnd(cohort.id);
    expect(run.error).toMatchObject({ code: 'SOURCE_UNAVAILABLE' });
    expect(run.error!.message).toMatch(/^Mixpanel refused to read the cohort: Mixpanel answered 400/);
  });
});

test('the Data View of a project is sent with every query', async () => {
  await using app = await startTestApp({ mixpanel: { workspaceId: '4711', defaultPageSize: 2 } });
  await app.connectIterable();
  await expect(app.connectMixpanel()).rejects.toThrow('workspace_id must be of a Data View');
  await expect(app.connectMixpanel({ workspaceId: 'all' })).rejects.toThrow('numeric workspace id');
  await app.connectMixpanel({ workspaceId: '4711', idMerge: 'ORIGINAL' });
  expect((await app.api.query('{ mixpanel { workspaceId } }')).mixpanel).toEqual({ workspaceId: '4711' });
  const cohort = await app.addCohort('View', people(5));
  expect(await app.syncToEnd(cohort.id)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 5 } });
});

/** As another process that applies pushes of the only cohort, until it is ended. */
async function applyElsewhere(app: TestApp): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query('begin');
  await client.query(
    `select pg_advisory_xact_lock(hashtextextended('pushed-cohort:' || id, 0)) from cohorts`,
  );
  return client;
}

describe('a run that starts while a push is being applied', () => {
  test('has all that was pushed before it, time after time', async () => {
    await using app = await startTestApp();
    await app.connect();
    const { push } = await createPusher(app);
    for (let round = 0; round < 5; round++) {
      const cohortId = String(6000 + round);
      const members = Array.from({ length: 50 }, (_, index) => pushed(`p${round}-${index}`));
      await push({ cohortId, name: `Pushed ${round}`, session: 's', members });
      const { cohorts } = await app.api.query(
        `{ cohorts(search: "Pushed ${round}") { edges { node { id } } } }`,
      );
      const run = await app.syncToEnd(cohorts.edges[0].node.id);
      expect(run, `round ${round}`).toMatchObject({ status: 'SUCCEEDED', counts: { added: 50 } });
    }
  });

  test('by another process waits until it has been', async () => {
    await using app = await startTestApp();
    await app.connect();
    const { push } = await createPusher(app);
    await push({ session: 's1', page: 1, pages: 2, members: [pushed('a')] });
    const cohort = await pushedCohort(app);
    const applying = await applyElsewhere(app);
    await push({ session: 's1', page: 2, pages: 2, members: [pushed('b')] });
    const { runId } = await app.startSync(cohort.id);
    await expect.poll(async () => (await app.readRun(runId)).status, SOON).toBe('RUNNING');
    await applying.end();
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  });

  test('ends when it is asked to, and not when the push has been applied', async () => {
    await using app = await startTestApp();
    await app.connect();
    const { push } = await createPusher(app);
    await push({ session: 's1', page: 1, pages: 2, members: [pushed('a')] });
    const applying = await applyElsewhere(app);
    const { runId } = await app.startSync((await pushedCohort(app)).id);
    await expect.poll(async () => (await app.readRun(runId)).status, SOON).toBe('RUNNING');
    await app.api.query('mutation ($id: ID!) { cancelSyncRun(runId: $id) { id } }', { id: runId });
    expect(await app.untilOver(runId)).toMatchObject({ status: 'CANCELLED' });
    await applying.end();
  });
});
