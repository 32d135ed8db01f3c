import { describe, expect, test } from 'vitest';
import type { ApiClient } from './support/api-client.ts';
import { connectPartners } from './support/connect-partners.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

const ACCOUNT =
  'region projectId idMerge status attention cohortsRefreshedAt queriesUsedLastHour queriesPerHour';
const CONNECT = `mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { ${ACCOUNT} } }`;
const REFRESH = 'mutation { refreshCohorts { id name present exportable memberCount } }';
const COHORTS = '{ cohorts { edges { node { name present exportable memberCount description source } } } }';

const readAccount = async (app: TestApp) => (await app.api.query(`{ mixpanel { ${ACCOUNT} } }`)).mixpanel;

const readCohorts = async (app: TestApp) =>
  (await app.api.query(COHORTS)).cohorts.edges.map((edge: { node: unknown }) => edge.node);

const inputOf = (app: TestApp, given: Record<string, unknown> = {}) => {
  const account = app.mixpanel.addServiceAccount();
  return {
    region: 'US',
    projectId: app.mixpanel.id,
    serviceAccountUsername: account.username,
    serviceAccountSecret: account.secret,
    ...given,
  };
};

/** No beat reads the cohort list on its own. */
const quiet = { COHORT_REFRESH_INTERVAL: '24h' };

describe('connecting Mixpanel', () => {
  test('reads the cohort list and keeps it', async () => {
    await using app = await startTestApp();
    app.mixpanel.addCohort({ name: 'People', description: 'All of them', members: people(2) });
    app.mixpanel.addCohort({ name: 'Companies', isGroup: true, members: people(1) });
    const { connectMixpanel } = await app.api.query(CONNECT, { input: inputOf(app) });
    expect(connectMixpanel).toEqual({
      region: 'US',
      projectId: app.mixpanel.id,
      idMerge: 'SIMPLIFIED',
      status: 'CONNECTED',
      attention: null,
      cohortsRefreshedAt: '2030-01-01T00:00:00.000Z',
      queriesUsedLastHour: 1,
      queriesPerHour: 60,
    });
    const plain = { present: true, source: 'MIXPANEL' };
    expect(await readCohorts(app)).toEqual([
      { ...plain, name: 'Companies', exportable: false, memberCount: 1, description: '' },
      { ...plain, name: 'People', exportable: true, memberCount: 2, description: 'All of them' },
    ]);
  });

  test.each([
    { title: 'a wrong secret', given: { serviceAccountSecret: 'wrong' } },
    { title: 'another region', given: { region: 'EU' } },
    { title: 'a project that the account may not read', given: { projectId: '999' } },
  ])('with $title is refused and stores nothing', async ({ given }) => {
    await using app = await startTestApp();
    const error = await app.api.fail(CONNECT, { input: inputOf(app, given) });
    expect(error.extensions.code).toBe('INVALID_CREDENTIALS');
    expect(await readAccount(app)).toBeNull();
  });

  test('whose plan has no API is refused with the words of Mixpanel', async () => {
    await using app = await startTestApp({ mixpanel: { hasApi: false } });
    const error = await app.api.fail(CONNECT, { input: inputOf(app) });
    expect(error.extensions.code).toBe('INSUFFICIENT_PERMISSIONS');
    expect(error.message).toContain('Your plan does not allow API calls');
  });

  test('that is down is told so within about ten seconds', async () => {
    await using app = await startTestApp();
    app.sandbox.faults.add({ operation: 'mixpanel.cohorts', hang: true });
    const startedAt = performance.now();
    const error = await app.api.fail(CONNECT, { input: inputOf(app) });
    expect(error.extensions.code).toBe('PARTNER_UNAVAILABLE');
    expect(performance.now() - startedAt).toBeLessThan(13_000);
  });

  test('with wrong credentials leaves a connection that works as it is', async () => {
    await using app = await startTestApp();
    await app.connectMixpanel();
    const before = await readAccount(app);
    await app.api.fail(CONNECT, { input: inputOf(app, { serviceAccountSecret: 'wrong' }) });
    // Mixpanel counts no query of somebody whom it does not let in.
    expect(await readAccount(app)).toEqual(before);
  });

  test('with another project takes the old cohorts away and stops their exports', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Old', people(2));
    const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    const other = app.sandbox.mixpanel.addProject();
    const account = other.addServiceAccount();
    await app.connectMixpanel({
      projectId: other.id,
      serviceAccountUsername: account.username,
      serviceAccountSecret: account.secret,
    });
    expect(await readCohorts(app)).toMatchObject([{ name: 'Old', present: false }]);
    const { export: exported } = await app.api.query(
      'query ($id: ID!) { export(id: $id) { status nextRunAt } }',
      { id: exportId },
    );
    expect(exported).toEqual({ status: 'STOPPED', nextRunAt: null });
    const error = await app.api.fail(
      'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: DYNAMIC }) { id } }',
      { id: cohort.id },
    );
    expect(error.extensions.code).toBe('INVALID_STATE');
    expect((await readAccount(app)).status).toBe('CONNECTED');
  });
});

describe('the cohort list', () => {
  test('shows group cohorts and does not let them be exported', async () => {
    await using app = await startTestApp();
    app.mixpanel.addCohort({ name: 'Companies', isGroup: true, members: people(1) });
    await app.connect();
    const { refreshCohorts } = await app.api.query(REFRESH);
    const error = await app.api.fail(
      'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }',
      { id: refreshCohorts[0].id },
    );
    expect(error.extensions.code).toBe('INVALID_STATE');
    expect(error.message).toMatch(/group cohort/);
  });

  test('marks cohorts that Mixpanel lists no longer, and takes them back when it does', async () => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Fleeting', people(2));
    const kept = app.mixpanel.cohorts.get(cohort.externalId)!;
    app.mixpanel.deleteCohort(cohort.externalId);
    await app.api.query(REFRESH);
    expect(await readCohorts(app)).toMatchObject([{ name: 'Fleeting', present: false }]);
    const error = await app.api.fail(
      'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }',
      { id: cohort.id },
    );
    expect(error.extensions.code).toBe('INVALID_STATE');
    app.mixpanel.addCohort(kept);
    await app.api.query(REFRESH);
    expect(await readCohorts(app)).toMatchObject([{ name: 'Fleeting', present: true }]);
  });

  test('is read again every interval', async () => {
    await using app = await startTestApp();
    await app.connect();
    app.mixpanel.addCohort({ name: 'New', members: people(2) });
    app.sandbox.calls.clear();
    app.clock.advance({ minutes: 15 });
    await expect.poll(() => readCohorts(app)).toMatchObject([{ name: 'New' }]);
    expect(app.sandbox.calls.of('mixpanel.cohorts')).toHaveLength(1);
  });

  test('of one project is read as ever while the Mixpanel of another one is silent, and a stop waits for neither', async () => {
    await using app = await startTestApp();
    await app.connect();
    const { api } = await makeProject(app, 'Other');
    const other = app.sandbox.mixpanel.addProject();
    const iterable = app.sandbox.iterable.addProject({ type: 'EMAIL' });
    await connectPartners(api, { iterable, mixpanel: other });
    const namesOf = async (one: ApiClient) =>
      (await one.query('{ cohorts { edges { node { name } } } }')).cohorts.edges.map(
        ({ node }: { node: { name: string } }) => node.name,
      );
    const [ours, theirs] = [app.mixpanel, other];
    // Whichever is asked first is answered by nobody; the other one goes on from interval to interval.
    app.sandbox.faults.add({ operation: 'mixpanel.cohorts', hang: true, times: 1 });
    for (let round = 1; round <= 3; round++) {
      for (const project of [ours, theirs]) project.addCohort({ name: `Round ${round}`, members: people(1) });
      app.clock.advance({ minutes: 16 });
      const seen = async () => [...(await namesOf(app.api)), ...(await namesOf(api))];
      await expect.poll(seen).toContain(`Round ${round}`);
    }
    const read = [await namesOf(app.api), await namesOf(api)].sort((one, two) => one.length - two.length);
    expect(read).toEqual([[], ['Round 1', 'Round 2', 'Round 3']]);
  });
});

describe('the budget of queries', () => {
  test('counts what was asked within the last hour', async () => {
    await using app = await startTestApp({ env: quiet });
    await app.connect();
    const cohort = await app.addCohort('Counted', people(2));
    app.clock.advance({ minutes: 30 });
    await app.syncToEnd(cohort.id);
    expect((await readAccount(app)).queriesUsedLastHour).toBe(3);
    app.clock.advance({ minutes: 30 });
    expect((await readAccount(app)).queriesUsedLastHour).toBe(1);
  });

  test('used up, a refresh is refused and says when there is room', async () => {
    await using app = await startTestApp({ env: { ...quiet, MIXPANEL_QUERIES_PER_HOUR: '2' } });
    await app.connectMixpanel();
    app.clock.advance({ minutes: 10 });
    await app.api.query(REFRESH);
    const error = await app.api.fail(REFRESH);
    expect(error.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 50 * 60 });
    app.clock.advance({ minutes: 50 });
    await app.api.query(REFRESH);
  });

  test('used up, a run waits until there is room', async () => {
    await using app = await startTestApp({ env: { ...quiet, MIXPANEL_QUERIES_PER_HOUR: '2' } });
    await app.connect();
    const cohort = await app.addCohort('Waiting', people(2));
    app.clock.advance({ minutes: 59, seconds: 59 });
    const { runId } = await app.startSync(cohort.id);
    await expect.poll(() => app.logs.some((line) => line.msg === 'run postponed')).toBe(true);
    expect(await app.readRun(runId)).toMatchObject({ phase: 'WAITING', counts: { members: 0 } });
    expect(app.sandbox.calls.of('mixpanel.engage')).toEqual([]);
    app.clock.advance({ seconds: 1 });
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  });

  test('too small for the dynamic exports, each of them says so', async () => {
    await using app = await startTestApp({ env: { MIXPANEL_QUERIES_PER_HOUR: '8' } });
    await app.connect();
    const delayOf = async (exportId: string) =>
      (
        await app.api.query(
          'query ($id: ID!) { export(id: $id) { delay { reason achievableIntervalMinutes } } }',
          { id: exportId },
        )
      ).export.delay;
    const one = await app.syncToEnd((await app.addCohort('One', people(1))).id, 'DYNAMIC');
    // Four queries an hour are left beside those for the cohort list: enough for one export.
    expect(await delayOf(one.exportId)).toBeNull();
    const two = await app.syncToEnd((await app.addCohort('Two', people(1))).id, 'DYNAMIC');
    for (const { exportId } of [one, two]) {
      expect(await delayOf(exportId)).toEqual({
        reason: expect.stringContaining('8 queries an hour'),
        achievableIntervalMinutes: 30,
      });
    }
  });
});

test.each([
  { title: 'the service account is refused', break: 'account', text: /authenticate/ },
  { title: 'the plan has no API any more', break: 'plan', text: /plan does not allow/ },
])('when $title the connection needs attention until the next good read', async ({ break: broken, text }) => {
  await using app = await startTestApp({ env: quiet });
  await app.connect();
  const cohort = await app.addCohort('Read', people(2));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const setBroken = (isBroken: boolean) => {
    if (broken === 'plan') app.mixpanel.settings.hasApi = !isBroken;
    else for (const account of app.mixpanel.accounts.values()) account.isRevoked = isBroken;
  };
  setBroken(true);
  const second = await app.runToEnd(first.exportId);
  expect(second.error).toMatchObject({ code: 'SOURCE_UNAUTHORIZED', message: expect.stringMatching(text) });
  expect(await readAccount(app)).toMatchObject({
    status: 'NEEDS_ATTENTION',
    attention: expect.stringMatching(text),
  });
  setBroken(false);
  expect((await app.runToEnd(first.exportId)).status).toBe('SUCCEEDED');
  expect(await readAccount(app)).toMatchObject({ status: 'CONNECTED', attention: null });
});

test('a refresh that is refused needs attention as well', async () => {
  await using app = await startTestApp({ env: quiet });
  await app.connectMixpanel();
  for (const account of app.mixpanel.accounts.values()) account.isRevoked = true;
  const error = await app.api.fail(REFRESH);
  expect(error.extensions.code).toBe('INVALID_CREDENTIALS');
  expect((await readAccount(app)).status).toBe('NEEDS_ATTENTION');
  for (const account of app.mixpanel.accounts.values()) account.isRevoked = false;
  await app.api.query(REFRESH);
  expect((await readAccount(app)).status).toBe('CONNECTED');
});

test('disconnecting returns what was connected, and nothing when nothing was', async () => {
  await using app = await startTestApp({ env: quiet });
  await app.connectMixpanel();
  for (const account of app.mixpanel.accounts.values()) account.isRevoked = true;
  await app.api.fail(REFRESH);
  const { mixpanel: before } = await app.api.query(`{ mixpanel { id ${ACCOUNT} } }`);
  expect(before.status).toBe('NEEDS_ATTENTION');
  const DISCONNECT = `mutation { disconnectMixpanel { id ${ACCOUNT} } }`;
  expect(await app.api.query(DISCONNECT)).toEqual({
    disconnectMixpanel: { ...before, status: 'DISCONNECTED', attention: null },
  });
  expect(await readAccount(app)).toBeNull();
  expect(await app.api.query(DISCONNECT)).toEqual({ disconnectMixpanel: null });
});

test('refreshing reads any number of cohorts and answers with the first thousand by name', async () => {
  await using app = await startTestApp({ env: quiet });
  await app.connectMixpanel();
  const nameOf = (index: number) => `Cohort ${String(index).padStart(4, '0')}`;
  for (let index = 1_004; index >= 0; index--) app.mixpanel.addCohort({ name: nameOf(index), members: [] });
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { name } }');
  expect(refreshCohorts.map(({ name }: { name: string }) => name)).toEqual(
    Array.from({ length: 1_000 }, (_, index) => nameOf(index)),
  );
  expect((await app.api.query('{ cohorts { totalCount } }')).cohorts.totalCount).toBe(1_005);
  const wide = `mutation { refreshCohorts { ${Array.from({ length: 45 }, (_, index) => `n${index}: name`).join(' ')} } }`;
  expect((await app.api.fail(wide)).extensions.code).toBe('QUERY_TOO_COMPLEX');
});

test('without Mixpanel nothing runs, and dynamic exports catch up when it is connected again', async () => {
  await using app = await startTestApp({ env: quiet });
  await app.connect();
  const cohort = await app.addCohort('Read', people(2));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  await app.api.query('mutation { disconnectMixpanel { id } }');
  app.mixpanel.setMembers(cohort.externalId, people(3));
  app.clock.advance({ minutes: 40 });
  const error = await app.api.fail('mutation ($id: ID!) { runExport(exportId: $id) { id } }', {
    id: exportId,
  });
  expect(error.extensions.code).toBe('MIXPANEL_NOT_CONNECTED');
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
  expect(await app.untilRuns(exportId, 2)).toMatchObject({
    status: 'SUCCEEDED',
    trigger: 'SCHEDULED',
    counts: { added: 1, unchanged: 2 },
  });
});
