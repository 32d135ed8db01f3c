import { expect, test } from 'vitest';
import { person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const ITSELF = /api_tokens/;

/** Between times the service does work of its own, and reads again what it remembers for a second. */
const TIMES = 5;

/** Statements that an operation makes, that by which the token is looked up left out: the fewest of several times. */
async function startCounting(options: Parameters<typeof startTestApp>[0] = {}) {
  let statements: string[] = [];
  const app = await startTestApp({ ...options, onStatement: (text) => statements.push(text) });
  return Object.assign(app, {
    async count(query: string, variables: Record<string, unknown> = {}) {
      const counted: string[][] = [];
      for (let time = 0; time < TIMES; time++) {
        statements = [];
        await app.api.query(query, variables);
        counted.push(statements.filter((text) => !ITSELF.test(text)));
      }
      return counted.reduce((fewest, one) => (one.length < fewest.length ? one : fewest));
    },
  });
}

async function addExports(app: TestApp, count: number): Promise<void> {
  for (let index = 0; index < count; index++) app.mixpanel.addCohort({ name: `C${index}`, members: [] });
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { id } }');
  for (const { id } of refreshCohorts) await app.startSync(id, 'DYNAMIC');
}

const GATEWAY = { ROLES: 'gateway' };

const DASHBOARD = `query ($first: Int) {
  integrations { provider status }
  cohorts(first: $first) { totalCount edges { cursor node { name memberCount export {
    status listName listSize nextRunAt delay { reason } listNameOutdated
    lastRun { status finishedAt counts { members added } }
  } } } pageInfo { hasNextPage } }
}`;

test('a dashboard is two statements, however many cohorts it shows', async () => {
  await using app = await startCounting({ env: GATEWAY });
  await app.connect();
  await addExports(app, 30);
  for (const first of [5, 30]) expect(await app.count(DASHBOARD, { first })).toHaveLength(2);
});

test('runs, rejections and totals of many exports are one statement each', async () => {
  await using app = await startCounting({ env: GATEWAY });
  await app.connect();
  await addExports(app, 30);
  const query = `query ($first: Int) { exports(first: $first) { edges { node {
    listName cohort { name } integration { status exports(first: 2) { totalCount edges { node { id } } } }
    runs(first: 5) { totalCount edges { node { status rejectedByReason { reason count } } } }
  } } } }`;
  for (const first of [3, 30]) {
    const statements = await app.count(query, { first });
    // The page, the runs, how many runs, the rejections, and the exports of the one integration.
    expect(statements.length).toBeLessThanOrEqual(5);
  }
});

test('the people of many runs, and of many held ones, are a few statements', async () => {
  await using app = await startCounting();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b')]);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  for (const name of ['c', 'd', 'e', 'f']) {
    app.mixpanel.setMembers(cohort.externalId, [person('a'), person(name), { distinctId: 'nobody' }]);
    await app.runToEnd(exportId);
  }
  const query = `query ($id: ID!, $first: Int) { export(id: $id) { runs(first: $first) { edges { node {
    members(first: 50) { totalCount edges { node { email outcome } } }
    pendingRemovals(first: 3) { totalCount edges { node { email } } }
  } } } } }`;
  const [few, many] = [
    await app.count(query, { id: exportId, first: 1 }),
    await app.count(query, { id: exportId, first: 5 }),
  ];
  const { export: exported } = await app.api.query(query, { id: exportId, first: 5 });
  const { edges } = exported.runs;
  const told = edges.map(({ node }: { node: { members: { edges: unknown[]; totalCount: number } } }) => [
    node.members.edges.length,
    node.members.totalCount,
  ]);
  expect(told).toEqual([
    [3, 3],
    [3, 3],
    [3, 3],
    [3, 3],
    [2, 2],
  ]);
  // Not one more for each run; a second look tells that a ledger ends.
  expect(many.length - few.length).toBeLessThanOrEqual(2);
});

test('a mutation is seen by the very next question, also in what is remembered', async () => {
  await using app = await startCounting({ env: { ...GATEWAY, MIXPANEL_QUERIES_PER_HOUR: '4' } });
  await app.connect();
  await addExports(app, 10);
  const delays = async () => {
    const { exports } = await app.api.query('{ exports { edges { node { id delay { reason } } } } }');
    return exports.edges.filter(({ node }: { node: { delay: unknown } }) => node.delay !== null).length;
  };
  expect(await delays()).toBe(10);
  await app.api.query('mutation { disconnectMixpanel { id } }');
  expect(await delays()).toBe(0);
});

test('an object is read anew each time that it is asked for by its id', async () => {
  await using app = await startCounting({ env: GATEWAY });
  await app.connect();
  await addExports(app, 1);
  const { exports } = await app.api.query('{ exports { edges { node { id } } } }');
  const { id } = exports.edges[0].node;
  const status = async () => {
    const asked = await app.api.query('query ($id: ID!) { node(id: $id) { ... on Export { status } } }', {
      id,
    });
    return asked.node.status;
  };
  for (let round = 0; round < 3; round++) {
    for (const [field, expected] of [
      ['pauseExport', 'PAUSED'],
      ['resumeExport', 'ACTIVE'],
    ]) {
      await app.api.query(`mutation ($id: ID!) { ${field}(exportId: $id) { id } }`, { id });
      expect(await status()).toBe(expected);
    }
  }
});

const aliases = (count: number, field: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => `a${n}: ${field(n)}`).join(' ');

const REFUSED = [
  '{ exports(first: 100) { edges { node { runs(first: 20) { edges { node { members(first: 1) { totalCount } } } } } } } }',
  `{ ${aliases(450, (n) => `messagingUsage(month: "2030-01") { whatIf(event: "e${n}") { users } }`)} }`,
  `{ messagingUsage(month: "2030-01") { ${aliases(450, (n) => `whatIf(event: "e${n}") { users }`)} } }`,
  `{ ${aliases(100, (n) => `member(email: "p${n}@example.com") { email }`)} }`,
  `mutation { ${aliases(200, () => 'pauseExport(exportId: "x") { id }')} }`,
];

test.each(REFUSED)('what costs too much is refused before anything is read: %#', async (document) => {
  await using app = await startCounting({ env: GATEWAY });
  const { errors } = await app.api.send(document);
  expect([...new Set(errors?.map(({ extensions }) => extensions.code))]).toEqual(['QUERY_TOO_COMPLEX']);
});

test('a dashboard and a report of the largest pages are allowed', async () => {
  await using app = await startCounting({ env: GATEWAY });
  await app.connect();
  await app.api.query(DASHBOARD, { first: 100 });
  await app.api.query(`{ exports(first: 100) { totalCount edges { cursor node {
    id status syncType listName listSize nextRunAt delay { reason } cohort { id name memberCount }
    integration { id provider status } runs(first: 5) { edges { node {
      id status finishedAt counts { members added removed rejected } rejectedByReason { reason count }
    } } }
  } } } }`);
});
