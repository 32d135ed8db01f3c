import { expect, test, vi } from 'vitest';
import { encodeId } from '../src/schema/global-id.ts';
import { buildSchema } from '../src/schema/schema.ts';
import { IMPORT } from './support/import-file.ts';
import { person } from './support/people.ts';
import { callOf, idPathsOf, rootFieldsOf, sendCall, shortSelectionOf } from './support/schema-calls.ts';
import { startTestApp } from './support/test-app.ts';

const START =
  'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: DYNAMIC }) { id export { id } } }';
const RUN = 'mutation ($id: ID!) { runExport(exportId: $id) { id } }';

test.for([
  'nonsense',
  '',
  encodeId('SyncRun', '999999999999999999'),
  encodeId('Export', '99999999999'),
  encodeId('Cohort', '424242'),
  encodeId('Member', '1:bm9ib2R5'),
  encodeId('MessagingUsage', '1:2030-13'),
])('a query answers an id that names nothing with nothing, a mutation with NOT_FOUND: "%s"', async (id) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const answers: Record<string, unknown> = {};
  const expected: Record<string, unknown> = {};
  for (const root of rootFieldsOf(buildSchema())) {
    if (root.kind === 'subscription') continue;
    for (const path of idPathsOf(root)) {
      const selection = root.name === 'syncRuns' ? 'totalCount edges { cursor }' : shortSelectionOf(root);
      const { data, errors } = await sendCall(app.api, callOf(root, { values: { [path]: id }, selection }));
      const place = `${root.name}(${path})`;
      answers[place] = [data, errors?.map((error) => error.extensions.code)];
      const nothing = root.name === 'syncRuns' ? { totalCount: 0, edges: [] } : null;
      // A bulk operation tells of each item what became of it.
      const { __typename } = Object(Object(data)[root.name]?.[0]);
      expected[place] = selection.includes('error')
        ? [{ [root.name]: [{ __typename, error: { code: 'NOT_FOUND' } }] }, undefined]
        : [{ [root.name]: nothing }, root.kind === 'query' ? undefined : ['NOT_FOUND']];
    }
  }
  expect(answers).toEqual(expected);
});

test('of two mutations in one document, the one that succeeds keeps its answer when the other fails', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { data, errors } = await app.api.send(`mutation {
    made: createApiToken(input: { name: "Shown once", role: CONSUMER }) { secret }
    paused: pauseExport(exportId: "bm8gaWQ") { id }
  }`);
  expect(errors).toMatchObject([{ path: ['paused'], extensions: { code: 'NOT_FOUND' } }]);
  expect(data).toEqual({ made: { secret: expect.any(String) }, paused: null });
  expect(await app.as(data.made.secret).query('{ viewer { role } }')).toEqual({
    viewer: { role: 'CONSUMER' },
  });
});

test('of two queries in one document, the one that succeeds keeps its answer when the other fails', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { data, errors } = await app.api.send(
    '{ cohorts(first: -1) { totalCount } exports { totalCount } cohort(id: "bm8gaWQ") { id } }',
  );
  expect(errors).toMatchObject([{ path: ['cohorts'], extensions: { code: 'BAD_USER_INPUT' } }]);
  expect(data).toEqual({ cohorts: null, exports: { totalCount: 0 }, cohort: null });
});

test('a group cohort cannot be exported, and the answer says why', async () => {
  await using app = await startTestApp();
  await app.connect();
  app.mixpanel.addCohort({ name: 'Companies', members: [], isGroup: true });
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { id exportable } }');
  expect(refreshCohorts).toMatchObject([{ exportable: false }]);
  const refusal = await app.api.fail(START, { id: refreshCohorts[0].id });
  expect(refusal.extensions).toEqual({ code: 'INVALID_STATE' });
  expect(refusal.message).toContain('group cohort');
});

test('a cohort that has vanished from Mixpanel cannot be exported, and the answer says why', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a')]);
  app.mixpanel.deleteCohort(cohort.externalId);
  await app.api.query('mutation { refreshCohorts { id } }');
  const { cohort: seen } = await app.api.query('query ($id: ID!) { cohort(id: $id) { present } }', cohort);
  expect(seen).toEqual({ present: false });
  const refusal = await app.api.fail(START, cohort);
  expect(refusal.extensions).toEqual({ code: 'INVALID_STATE' });
  expect(refusal.message).toContain('no longer lists');
});

test('a second start while a run is going is refused and names that run', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a')]);
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  const refused = { code: 'SYNC_ALREADY_RUNNING', runId, status: 'QUEUED' };
  expect((await app.api.fail(START, cohort)).extensions).toEqual(refused);
  expect((await app.api.fail(RUN, { id: exportId })).extensions).toEqual(refused);
});

test('without Iterable nothing can be exported', async () => {
  await using app = await startTestApp();
  await app.connectMixpanel();
  const cohort = await app.addCohort('Trial', [person('a')]);
  const refusal = await app.api.fail(START, cohort);
  expect(refusal.extensions).toEqual({ code: 'INTEGRATION_NOT_CONNECTED' });
  expect(refusal.message).toContain('connectIntegration');
});

test('without Mixpanel its cohorts are neither refreshed nor exported', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  await app.api.query('mutation { disconnectMixpanel { id } }');
  const refused = { code: 'MIXPANEL_NOT_CONNECTED' };
  expect((await app.api.fail('mutation { refreshCohorts { id } }')).extensions).toEqual(refused);
  expect((await app.api.fail(START, cohort)).extensions).toEqual(refused);
  expect((await app.api.fail(RUN, { id: exportId })).extensions).toEqual(refused);
});

test('an operation that is too large or too deep is refused before it costs anything', async () => {
  await using app = await startTestApp();
  const runs = 'runs(first: 100) { edges { node { id } } }';
  const wide = `{ exports(first: 100) { edges { node { ${runs} integration { exports(first: 100) { edges { node { ${runs} } } } } } } } }`;
  const deep = `{ exports { edges { node { ${'lastRun { export { '.repeat(10)} id ${'} }'.repeat(10)} } } } }`;
  for (const query of [wide, deep]) {
    const refusal = await app.api.fail(query);
    expect(refusal.extensions).toEqual({ code: 'QUERY_TOO_COMPLEX' });
    expect(refusal.message).toMatch(/at most \d+ is allowed/);
  }
});

test('a fault of our own is shown as "Unexpected error." with an id that is also in the log', async () => {
  await using app = await startTestApp({ allowFaults: true, env: { ROLES: 'gateway' } });
  await app.app.sync.db.schema.alterTable('cohorts').renameTo('cohorts_gone').execute();
  const error = await app.api.fail('{ cohorts { edges { node { id } } } }');
  expect(error).toEqual({
    message: 'Unexpected error.',
    path: ['cohorts'],
    locations: expect.anything(),
    extensions: { errorId: expect.stringMatching(/^[0-9a-f-]{36}$/) },
  });
  const logged = app.logs.filter((line) => line.errorId === error.extensions.errorId);
  expect(logged).toMatchObject([{ level: 50, err: { message: expect.stringContaining('cohorts') } }]);
});

test('a fault of our own before GraphQL begins has an id in the log too', async () => {
  await using app = await startTestApp({ allowFaults: true, env: { ROLES: 'gateway' } });
  await app.app.sync.db.schema.alterTable('api_tokens').renameTo('api_tokens_gone').execute();
  const { status, errors } = await app.api.send('{ viewer { role } }');
  expect(status).toBe(500);
  expect(errors).toEqual([{ message: 'Unexpected error.', extensions: { errorId: expect.any(String) } }]);
  expect(app.logs.filter((line) => line.errorId === errors![0]!.extensions.errorId)).toHaveLength(1);
});

test('an upload that cannot be written to the disk is a fault of our own', async () => {
  await using app = await startTestApp({ allowFaults: true, env: { ROLES: 'gateway' } });
  vi.stubEnv('TMPDIR', '/no/such/folder');
  try {
    const { errors } = await app.api.upload(
      IMPORT,
      { input: { name: 'Trial' } },
      { name: 'people.csv', content: `email\n${'a@example.com\n'.repeat(100_000)}` },
    );
    expect(errors).toMatchObject([
      { message: 'Unexpected error.', extensions: { errorId: expect.any(String) } },
    ]);
  } finally {
    vi.unstubAllEnvs();
  }
});

test('a fault of our own while a WebSocket opens closes it without a word of what it was', async () => {
  await using app = await startTestApp({ allowFaults: true, env: { ROLES: 'gateway' } });
  await app.app.sync.db.schema.alterTable('api_tokens').renameTo('api_tokens_gone').execute();
  const client = app.api.webSocket();
  const values = client.iterate({ query: 'subscription { integrationUpdated { id } }' });
  await expect(values.next()).rejects.toMatchObject({ code: 4500, reason: 'Unexpected error.' });
  expect(app.logs.filter((line) => line.errorId !== undefined)).toHaveLength(1);
});
