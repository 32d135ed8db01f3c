import { getNamedType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { buildSchema } from '../src/schema/schema.ts';
import { type Page, readAllPages, readPage } from './support/pages.ts';
import { callOf, type RootField, rootFieldsOf } from './support/schema-calls.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const connections = rootFieldsOf(buildSchema(), 'query').filter(({ field }) =>
  field.args.some((arg) => arg.name === 'first'),
);

const namesOf = (nodes: { name: string }[]) => nodes.map((node) => node.name);

/** Nothing runs by itself: runs stay queued. */
const startGateway = (options: Parameters<typeof startTestApp>[0] = {}) =>
  startTestApp({ ...options, env: { ROLES: 'gateway' } });

async function addCohorts(app: TestApp, names: string[]): Promise<{ id: string; name: string }[]> {
  for (const name of names) app.mixpanel.addCohort({ name, members: [] });
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { id name } }');
  return names.map((name) => refreshCohorts.find((one: { name: string }) => one.name === name));
}

async function addExports(app: TestApp, names: string[]): Promise<{ runId: string; exportId: string }[]> {
  const started = [];
  for (const cohort of await addCohorts(app, names)) started.push(await app.startSync(cohort.id, 'DYNAMIC'));
  return started;
}

test('there are connections for every long list', () => {
  expect(connections.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['apiTokens', 'cohorts', 'exports', 'syncRuns']),
  );
  for (const { field } of connections) {
    const type = getNamedType(field.type);
    expect(isObjectType(type) && Object.keys(type.getFields()).sort()).toEqual([
      'edges',
      'pageInfo',
      'totalCount',
    ]);
  }
});

test('first is 0 to 100 on every list; anything else is told what is allowed', async () => {
  await using app = await startGateway();
  const send = ({ query, variables }: ReturnType<typeof callOf>) => app.api.send(query, variables);
  const told = async (root: RootField, first: number) => {
    const { errors } = await send(callOf(root, { values: { first } }));
    return errors?.map(({ extensions }) => extensions);
  };
  for (const root of connections) {
    for (const first of [-1, 101]) {
      expect(await told(root, first)).toEqual([
        { code: 'BAD_USER_INPUT', issues: [{ path: ['first'], message: 'must be from 0 to 100.' }] },
      ]);
    }
    for (const first of [0, 1, 100]) expect(await told(root, first)).toBeUndefined();
  }
});

test('a page of no rows says whether there are any', async () => {
  await using app = await startGateway();
  await app.connect();
  const noCursors = { hasPreviousPage: false, startCursor: null, endCursor: null };
  const nothing = (hasNextPage: boolean) => ({ edges: [], pageInfo: { ...noCursors, hasNextPage } });
  expect(await readPage(app.api, 'exports', 'id', 'first: 0')).toEqual({ totalCount: 0, ...nothing(false) });
  await addExports(app, ['One']);
  expect(await readPage(app.api, 'exports', 'id', 'first: 0')).toEqual({ totalCount: 1, ...nothing(true) });
  const { pageInfo } = await readPage(app.api, 'exports', 'id', 'first: 1');
  expect(await readPage(app.api, 'exports', 'id', `first: 0, after: "${pageInfo.endCursor}"`)).toEqual({
    totalCount: 1,
    ...nothing(false),
  });
  const { exports } = await app.api.query(
    '{ exports { edges { node { runs(first: 0) { edges { cursor } pageInfo { hasNextPage } } } } } }',
  );
  expect(exports.edges[0].node.runs).toEqual({ edges: [], pageInfo: { hasNextPage: true } });
});

test('a cursor that no page of the list gave is refused on every list', async () => {
  await using app = await startGateway();
  await app.connect();
  await addExports(app, ['One']);
  const cursors = ['nonsense', '', Buffer.from('{"name":1}').toString('base64url')];
  for (const root of connections) {
    for (const after of cursors) {
      const { query, variables } = callOf(root, { values: { after } });
      expect((await app.api.fail(query, variables)).extensions).toEqual({
        code: 'BAD_USER_INPUT',
        issues: [{ path: ['after'], message: 'must be a cursor that an earlier page of this list gave.' }],
      });
    }
  }
});

test('a page has 20 rows unless asked otherwise, and says what is beyond it', async () => {
  await using app = await startGateway();
  await app.connectMixpanel();
  await addCohorts(
    app,
    Array.from({ length: 25 }, (_, index) => `Cohort ${index}`),
  );
  const first = await readPage(app.api, 'cohorts', 'id', 'first: null');
  expect(first).toMatchObject({
    totalCount: 25,
    pageInfo: {
      hasNextPage: true,
      hasPreviousPage: false,
      startCursor: first.edges[0]!.cursor,
      endCursor: first.edges[19]!.cursor,
    },
  });
  expect(first.edges).toHaveLength(20);
  const rest = await readPage(app.api, 'cohorts', 'id', `after: "${first.pageInfo.endCursor}"`);
  expect(rest.edges).toHaveLength(5);
  expect(rest.pageInfo.hasNextPage).toBe(false);
});

test('cohorts come by name, those of one name all of them, one page at a time or at once', async () => {
  await using app = await startGateway();
  await app.connectMixpanel();
  const names = ['beta', 'Alpha', 'Émile', 'alpha', 'Twin', 'Twin', 'Twin', '日本', '_first'];
  for (const name of names) app.mixpanel.addCohort({ name, members: [] });
  await app.api.query('mutation { refreshCohorts { id } }');
  const atOnce = await readAllPages<{ id: string; name: string }>(
    app.api,
    'cohorts',
    'id name',
    'first: 100',
  );
  expect(namesOf(atOnce)).toEqual([
    'Alpha',
    'Twin',
    'Twin',
    'Twin',
    '_first',
    'alpha',
    'beta',
    'Émile',
    '日本',
  ]);
  expect(await readAllPages(app.api, 'cohorts', 'id name', 'first: 1')).toEqual(atOnce);
});

test('a row that is added between two pages neither repeats nor hides another', async () => {
  await using app = await startGateway();
  await app.connect();
  await addExports(app, ['B', 'D', 'F']);
  const cohorts = (args: string) => readPage<{ name: string }>(app.api, 'cohorts', 'name', args);
  const exports = (args: string) => readPage<{ listName: string }>(app.api, 'exports', 'listName', args);
  const firstCohorts = await cohorts('first: 2');
  const firstExports = await exports('first: 2');
  await addExports(app, ['A', 'E']);
  const nodesOf = <Node>({ edges }: Page<Node>) => edges.map((edge) => edge.node);
  expect(namesOf(nodesOf(firstCohorts))).toEqual(['B', 'D']);
  expect(namesOf(nodesOf(await cohorts(`after: "${firstCohorts.pageInfo.endCursor}"`)))).toEqual(['E', 'F']);
  const remaining = nodesOf(await exports(`after: "${firstExports.pageInfo.endCursor}"`));
  expect(remaining.map(({ listName }) => listName.split('_')[1])).toEqual(['B']);
});

test('search finds a part of the name whatever its case, and takes every character as itself', async () => {
  await using app = await startGateway();
  await app.connectMixpanel();
  await addCohorts(app, ['Trial users', '100% loyal', 'under_score', 'underscore', 'back\\slash']);
  const found = async (search: string) => {
    const page = await readPage<{ name: string }>(
      app.api,
      'cohorts',
      'name',
      `search: ${JSON.stringify(search)}`,
    );
    expect(page.totalCount).toBe(page.edges.length);
    return namesOf(page.edges.map((edge) => edge.node));
  };
  expect(await found('USER')).toEqual(['Trial users']);
  expect(await found('%')).toEqual(['100% loyal']);
  expect(await found('r_s')).toEqual(['under_score']);
  expect(await found('k\\s')).toEqual(['back\\slash']);
  expect(await found('nobody')).toEqual([]);
  expect(await found('')).toHaveLength(5);
});

test('exports and runs come newest first, and only those that are asked for', async () => {
  await using app = await startGateway();
  await app.connect();
  const [first, second] = await addExports(app, ['One', 'Two']);
  await app.api.query('mutation ($id: ID!) { pauseExport(exportId: $id) { id } }', { id: first!.exportId });
  await app.api.query('mutation ($id: ID!) { cancelSyncRun(runId: $id) { id } }', { id: first!.runId });
  const ids = async (field: string, args: string) =>
    (await readPage<{ id: string }>(app.api, field, 'id', args)).edges.map((edge) => edge.node.id);
  expect(await ids('exports', 'first: 10')).toEqual([second!.exportId, first!.exportId]);
  expect(await ids('exports', 'status: PAUSED')).toEqual([first!.exportId]);
  expect(await ids('exports', 'status: [PAUSED, ACTIVE]')).toEqual([second!.exportId, first!.exportId]);
  expect(await ids('exports', 'status: []')).toEqual([]);
  expect(await ids('exports', 'syncType: ONE_TIME')).toEqual([]);
  expect(await ids('exports', 'syncType: [DYNAMIC], status: null')).toHaveLength(2);
  expect(await ids('cohorts', 'source: [MIXPANEL, FILE]')).toHaveLength(2);
  expect(await ids('cohorts', 'source: [FILE, MIXPANEL_WEBHOOK]')).toEqual([]);
  expect(await ids('cohorts', 'source: []')).toEqual([]);
  expect(await ids('syncRuns', 'first: 10')).toEqual([second!.runId, first!.runId]);
  expect(await ids('syncRuns', 'status: [CANCELLED, FAILED]')).toEqual([first!.runId]);
  expect(await ids('syncRuns', 'status: []')).toEqual([]);
  expect(await ids('syncRuns', `exportId: "${second!.exportId}"`)).toEqual([second!.runId]);
});

test('a page of exports with cohort, integration and last run costs a few statements, however many rows it has', async () => {
  let statements: string[] = [];
  await using app = await startGateway({ onStatement: (text) => statements.push(text) });
  await app.connect();
  await addExports(
    app,
    Array.from({ length: 50 }, (_, index) => `Cohort ${index}`),
  );
  const costOf = async (first: number) => {
    statements = [];
    const { exports } = await app.api.query(
      `query ($first: Int) { exports(first: $first) { edges { node {
        listName listNameOutdated nextRunAt delay { reason }
        cohort { name export { id } } integration { status } lastRun { status counts { members } }
      } } } }`,
      { first },
    );
    expect(exports.edges).toHaveLength(first);
    return statements;
  };
  // The first one reads how the exports share Mixpanel's queries.
  await costOf(5);
  for (const first of [5, 50]) {
    const others = (await costOf(first)).filter((text) => !text.includes('api_tokens'));
    expect(others).toHaveLength(1);
  }
});
