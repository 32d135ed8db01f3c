import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { IterableProject } from '../sandbox/iterable/project.ts';
import type { MixpanelProject } from '../sandbox/mixpanel/project.ts';
import type { ApiClient } from './support/api-client.ts';
import { connectPartners } from './support/connect-partners.ts';
import { act } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeProject } from './support/tokens.ts';

interface OtherProject {
  api: ApiClient;
  iterable: IterableProject;
  mixpanel: MixpanelProject;
}

/** A second project of the deployment, with partners of its own. */
async function openOtherProject(app: TestApp): Promise<OtherProject> {
  const { api } = await makeProject(app, 'Other');
  const iterable = app.sandbox.iterable.addProject({ type: 'EMAIL' });
  const mixpanel = app.sandbox.mixpanel.addProject();
  await connectPartners(api, { iterable, mixpanel });
  return { api, iterable, mixpanel };
}

/** Starts one-time exports of that many cohorts; gives the ids of the runs. */
async function startRuns(api: ApiClient, mixpanel: MixpanelProject, count: number): Promise<string[]> {
  const added = Array.from({ length: count }, (_, index) =>
    mixpanel.addCohort({ name: `Cohort ${index}`, members: people(2, `c${index}-`) }),
  );
  const { refreshCohorts } = await api.query(`mutation { refreshCohorts { id externalId } }`);
  const runIds: string[] = [];
  for (const { id } of added) {
    const found = refreshCohorts.find((one: { externalId: string }) => one.externalId === String(id));
    const { startSync } = await api.query(
      `mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }`,
      { id: found.id },
    );
    runIds.push(startSync.id);
  }
  return runIds;
}

async function countRuns(api: ApiClient, status: string): Promise<number> {
  const { syncRuns } = await api.query(
    `query ($status: [SyncRunStatus!]) { syncRuns(status: $status) { totalCount } }`,
    { status: [status] },
  );
  return syncRuns.totalCount;
}

const PATIENT = { PARTNER_RETRY_BUDGET: '5m', MIXPANEL_QUERIES_PER_HOUR: '0' };

test('however many runs of a project wait for Iterable, those of another project go on, and nobody holds a connection', {
  timeout: 120_000,
}, async () => {
  await using app = await startTestApp({ env: { ...PATIENT, ITERABLE_REQUESTS_PER_SECOND: '100' } });
  await app.connect();
  app.sandbox.faults.add({
    operation: 'iterable.createList',
    reply: {
      status: 429,
      body: { msg: 'Exceeded rate limit.', code: 'RateLimitExceeded', params: { rateLimitReset: 110 } },
    },
    times: 1,
  });
  await startRuns(app.api, app.mixpanel, 1);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.status === 429));
  const waiting = await startRuns(app.api, app.mixpanel, 42);
  await expect.poll(() => countRuns(app.api, 'RUNNING'), { timeout: 60_000 }).toBe(40);
  expect(await countRuns(app.api, 'QUEUED')).toBe(3);

  const other = await openOtherProject(app);
  const [runId] = await startRuns(other.api, other.mixpanel, 1);
  const run = await app.untilOver(runId!, other.api);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });

  expect(app.sandbox.calls.of('iterable.createList')).toHaveLength(2);
  await act(app, 'cancel', waiting[0]!);
  expect((await app.untilOver(waiting[0]!)).status).toBe('CANCELLED');
  const readHeld = async () => {
    const { rows } = await sql<{ held: number }>`select count(*)::int as held from pg_stat_activity
      where datname = current_database() and state like 'idle in transaction%'`.execute(app.app.sync.db);
    return rows[0]!.held;
  };
  await expect.poll(readHeld, { timeout: 60_000 }).toBe(0);
});

test('a small export beside a large one of its project gets its turns', async () => {
  await using app = await startTestApp({
    env: { ...PATIENT, ITERABLE_REQUESTS_PER_SECOND: '20', ITERABLE_BATCH_SIZE: '1' },
  });
  await app.connect();
  const large = await app.addCohort('Large', people(400));
  const small = await app.addCohort('Small', people(5, 'small'));
  const { runId } = await app.startSync(large.id);
  const { calls } = app.sandbox;
  await calls.until((all) => all.filter((call) => call.operation === 'iterable.subscribe').length >= 4);
  expect(await app.syncToEnd(small.id)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 5 } });
  expect((await app.readRun(runId)).status).toBe('RUNNING');

  const smallId = app.iterable.list(small.listName)!.id;
  const listIds = calls.of('iterable.subscribe').map((call) => call.listId);
  const between = listIds.slice(listIds.indexOf(smallId), listIds.lastIndexOf(smallId));
  const ofLarge = between.filter((listId) => listId !== smallId).length;
  // One each; the small one needs a moment to write an answer down before it asks for its next turn.
  expect(ofLarge).toBeGreaterThan(0);
  expect(ofLarge).toBeLessThanOrEqual(15);
});

test('an export whose requests fail again and again does not keep the others of its project from going on', async () => {
  await using app = await startTestApp({ env: { ...PATIENT, ITERABLE_REQUESTS_PER_SECOND: '20' } });
  await app.connect();
  const failing = await app.addCohort('Failing', people(3));
  const { exportId } = await app.syncToEnd(failing.id);
  app.mixpanel.setMembers(failing.externalId, people(2));
  app.sandbox.faults.add({ operation: 'iterable.unsubscribe', reply: { status: 503 } });
  const { calls } = app.sandbox;
  const refusals = () => calls.of('iterable.unsubscribe').filter((call) => call.status === 503).length;
  const runId = await app.runExport(exportId);
  await calls.until(() => refusals() >= 2);
  const cohort = await app.addCohort('Good', people(5, 'good'));
  expect(await app.syncToEnd(cohort.id)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 5 } });
  expect((await app.readRun(runId)).status).toBe('RUNNING');
  app.sandbox.faults.clear();
  expect((await app.untilOver(runId)).counts).toMatchObject({ removed: 1 });
});

test('reading that hangs in one project leaves room for others, and who waits to read can be cancelled', async () => {
  await using app = await startTestApp({ env: PATIENT });
  await app.connect();
  app.sandbox.faults.add({ operation: 'mixpanel.engage', hang: true, times: 3 });
  const hanging = await startRuns(app.api, app.mixpanel, 3);
  await app.sandbox.calls.until(
    (calls) => calls.filter((call) => call.operation === 'mixpanel.engage').length === 3,
  );
  const [waitingId] = await startRuns(app.api, app.mixpanel, 1);
  await expect.poll(async () => (await app.readRun(waitingId!)).status, { timeout: 60_000 }).toBe('RUNNING');

  const other = await openOtherProject(app);
  const [runId] = await startRuns(other.api, other.mixpanel, 1);
  expect((await app.untilOver(runId!, other.api)).status).toBe('SUCCEEDED');

  expect(await app.readRun(waitingId!)).toMatchObject({ status: 'RUNNING', phase: 'WAITING' });
  await act(app, 'cancel', waitingId!);
  expect((await app.untilOver(waitingId!)).status).toBe('CANCELLED');
  for (const id of hanging) {
    expect(await app.readRun(id)).toMatchObject({ status: 'RUNNING', phase: 'READING' });
    await act(app, 'cancel', id);
    expect((await app.untilOver(id)).status).toBe('CANCELLED');
  }
});

test('two reads of a hybrid comparison go at once; the sixth in a minute waits, and holds up nobody else', async () => {
  await using app = await startTestApp({ env: PATIENT, iterable: { type: 'HYBRID' } });
  await app.connect();
  const runIds: string[] = [];
  for (const name of ['First', 'Second', 'Third']) {
    const cohort = await app.addCohort(name, people(2, name.toLowerCase()));
    app.iterable.addList(cohort.listName);
    runIds.push((await app.startSync(cohort.id)).runId);
    if (name !== 'Third') await app.untilOver(runIds.at(-1)!);
  }
  const readWaiting = async () => {
    const { rows } = await sql<{ waiting: number }>`select count(*)::int as waiting from pacer_lines
      where pacer_key like '%:listRead' and asks_again_at is not null`.execute(app.app.sync.db);
    return rows[0]!.waiting;
  };
  await expect.poll(readWaiting, { timeout: 60_000 }).toBe(1);
  const fresh = await app.addCohort('Fresh', people(2, 'fresh'));
  expect((await app.syncToEnd(fresh.id)).status).toBe('SUCCEEDED');
  expect(app.sandbox.calls.of('iterable.getUsers').map((call) => call.status)).toEqual(Array(5).fill(200));
  expect((await app.readRun(runIds[2]!)).status).toBe('RUNNING');
  await act(app, 'cancel', runIds[2]!);
  expect((await app.untilOver(runIds[2]!)).status).toBe('CANCELLED');
});
