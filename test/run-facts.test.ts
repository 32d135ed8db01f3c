import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { act } from './support/export-operations.ts';
import { decide, runUntilHeld } from './support/held-run.ts';
import { createPusher, pushed, pushedCohort } from './support/mixpanel-push.ts';
import { SOON, THREE_AN_HOUR, untilParked, useUpTheHour } from './support/mixpanel-waits.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const FACTS = `query ($id: ID!) { syncRun(id: $id) {
  status startedBy cancelRequestedAt cancelRequestedBy notices noticeDetails { code message count }
  waiting { reason message until }
  error { code } export { delay { reason achievableIntervalMinutes } } } }`;
const factsOf = async (app: TestApp, id: string) => (await app.api.query(FACTS, { id })).syncRun;
const reasonOf = async (app: TestApp, id: string) => (await factsOf(app, id)).waiting?.reason;

test('a run without a query says what it waits for and until when, and so does its export', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z', env: THREE_AN_HOUR });
  const { cohorts } = await useUpTheHour(app);
  const { runId } = await app.startSync(cohorts[0]!.id);
  await untilParked(app, runId);
  const { waiting, export: exported, error } = await factsOf(app, runId);
  expect(error).toBeNull();
  expect(waiting).toEqual({
    reason: 'QUERY_QUOTA',
    message: 'The queries that Mixpanel allows in an hour are used up; the run goes on when there is one.',
    // An hour after the first of the three.
    until: expect.stringMatching(/^2030-01-01T01:0\d:/),
  });
  expect(exported.delay.reason).toBe(`${waiting.message} Until ${waiting.until} at the earliest.`);
  app.clock.advance({ minutes: 40 });
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED' });
  expect(await factsOf(app, runId)).toMatchObject({ waiting: null, export: { delay: null } });
});

test('a run that nobody has taken up waits for a worker; one that was cancelled says when', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await app.connect();
  const [cohort] = await addCohorts(app, [people(1)]);
  const { runId } = await app.startSync(cohort!.id);
  expect(await factsOf(app, runId)).toMatchObject({
    waiting: { reason: 'WORKER', until: null },
    cancelRequestedAt: null,
  });
  await act(app, 'cancel', runId);
  expect(await factsOf(app, runId)).toMatchObject({
    waiting: null,
    cancelRequestedAt: app.clock.now().toISOString(),
  });
});

test('a held run waits for a decision, and a list that keeps people says so in each run', async () => {
  await using app = await startTestApp();
  await app.connectIterable({ removalGuard: { maxShare: 0.5, minRemovals: 5 } });
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
  const [cohort] = await addCohorts(app, [people(60)]);
  const { exportId } = await app.syncToEnd(cohort!.id);
  app.mixpanel.setMembers(Number(cohort!.externalId), people(2));
  const { id } = await runUntilHeld(app, exportId);
  expect((await factsOf(app, id)).waiting).toEqual({
    reason: 'APPROVAL',
    message: 'The removal of 58 people waits for approveRemovals or discardRemovals.',
    until: null,
  });
  await decide(app, id, 'discard');
  const kept = {
    code: 'PEOPLE_KEPT',
    message: '58 people stay on the list without being in the cohort, because the removal was discarded.',
    count: 58,
  };
  const decided = await factsOf(app, id);
  expect(decided).toMatchObject({ waiting: null });
  expect(decided.noticeDetails).toContainEqual(kept);
  const next = await app.runToEnd(exportId);
  expect(next.status).toBe('SUCCEEDED');
  expect((await factsOf(app, next.id)).noticeDetails).toEqual([kept]);
});

test('a run that asks a partner again, or waits for its turn, says so', async () => {
  const env = {
    ITERABLE_REQUESTS_PER_SECOND: '1',
    ITERABLE_BATCH_SIZE: '1',
    ITERABLE_CONCURRENCY: '5',
    PARTNER_RETRY_BUDGET: '60s',
  };
  await using app = await startTestApp({ env });
  await app.connect();
  const [cohort] = await addCohorts(app, [people(8)]);
  const reply = { status: 503, headers: { 'retry-after': '10' } };
  app.sandbox.faults.add({ operation: 'iterable.listLists', times: 1, reply });
  const { runId } = await app.startSync(cohort!.id);
  await expect.poll(() => reasonOf(app, runId), { ...SOON, interval: 20 }).toBe('RETRY');
  expect(Date.parse((await factsOf(app, runId)).waiting.until)).toBeGreaterThan(app.clock.now().getTime());
  await expect.poll(() => reasonOf(app, runId), { ...SOON, interval: 20 }).toBe('DESTINATION_TURN');
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED' });
  expect(await factsOf(app, runId)).toMatchObject({ waiting: null });
});

test('a run that waits for a push to be applied says so', async () => {
  await using app = await startTestApp();
  await app.connect();
  const { push } = await createPusher(app);
  await push({ session: 's1', page: 1, pages: 2, members: [pushed('a')] });
  const cohort = await pushedCohort(app);
  const { db } = app.app.sync;
  const applied = Promise.withResolvers<void>();
  const applying = db.transaction().execute(async (trx) => {
    const { id } = await trx.selectFrom('cohorts').select('id').executeTakeFirstOrThrow();
    await sql`select pg_advisory_xact_lock(hashtextextended(${`pushed-cohort:${id}`}, 0))`.execute(trx);
    await applied.promise;
  });
  const { runId } = await app.startSync(cohort.id);
  await expect.poll(() => reasonOf(app, runId), SOON).toBe('SOURCE_BEING_APPLIED');
  await push({ session: 's1', page: 2, pages: 2, members: [pushed('b')] });
  applied.resolve();
  await applying;
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
});

test('notices have codes and counts; those of runs from before have none', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { exportId, id } = await app.syncToEnd(cohort.id);
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.find('p0@example.com')!, false);
  app.clock.advance({ hours: 25 });
  const drift = await app.runToEnd(exportId);
  expect((await factsOf(app, drift.id)).noticeDetails).toEqual([
    { code: 'DRIFT_REPAIRED', message: drift.notices[0], count: 1 },
  ]);
  app.iterable.deleteList(list.id);
  app.clock.advance({ hours: 25 });
  const anew = await app.runToEnd(exportId);
  expect((await factsOf(app, anew.id)).noticeDetails).toEqual([
    { code: 'LIST_CREATED_ANEW', message: anew.notices[0], count: null },
  ]);
  await sql`update sync_runs set notices = '{Long ago.}' where notices = '{}'`.execute(app.app.sync.db);
  expect(await factsOf(app, id)).toMatchObject({
    notices: ['Long ago.'],
    noticeDetails: [{ code: 'OTHER', message: 'Long ago.', count: null }],
  });
});

test('a run says which token asked for it; one that came by itself says nobody', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  const { api } = await makeToken(app, 'ADMIN');
  const { viewer } = await api.query('{ viewer { tokenName } }');
  const { startSync } = await api.query(
    'mutation ($input: StartSyncInput!) { startSync(input: $input) { id startedBy export { id } } }',
    { input: { cohortId: cohort.id, syncType: 'DYNAMIC' } },
  );
  expect(startSync.startedBy).toBe(viewer.tokenName);
  await app.untilOver(startSync.id);
  app.clock.advance({ minutes: 16 });
  const scheduled = await app.untilRuns(startSync.export.id, 2);
  expect(scheduled).toMatchObject({ trigger: 'SCHEDULED' });
  expect((await factsOf(app, scheduled.id)).startedBy).toBeNull();
});

/** A cohort whose run waits for a worker that is not there, and a token of somebody else's. */
async function queueRunOfSomebody(app: TestApp) {
  await app.connect();
  const [cohort] = await addCohorts(app, [people(1)]);
  const { api: other } = await makeToken(app, 'ADMIN', { name: 'Somebody else' });
  return { ...(await app.startSync(cohort!.id)), other };
}

const CANCEL = 'mutation ($id: ID!) { cancelSyncRun(runId: $id) { status } }';

test.each([
  ['cancelSyncRun', CANCEL],
  ['stopExport', 'mutation ($exportId: ID!) { stopExport(exportId: $exportId) { status } }'],
  ['disconnectIntegration', 'mutation { disconnectIntegration(input: { provider: ITERABLE }) { status } }'],
  [
    'connectMixpanel with another project',
    'mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { status } }',
  ],
])('a run says which token asked for its end by %s, and nobody before', async (_what, mutation) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { runId, exportId, other } = await queueRunOfSomebody(app);
  expect(await factsOf(app, runId)).toMatchObject({ cancelRequestedAt: null, cancelRequestedBy: null });
  const mixpanel = app.sandbox.mixpanel.addProject();
  const { username, secret } = mixpanel.addServiceAccount();
  const input = {
    region: 'US',
    projectId: mixpanel.id,
    serviceAccountUsername: username,
    serviceAccountSecret: secret,
  };
  const given = { id: runId, exportId, input };
  const used = Object.entries(given).filter(([name]) => mutation.includes(`$${name}:`));
  await other.query(mutation, Object.fromEntries(used));
  const facts = await factsOf(app, runId);
  expect(facts).toMatchObject({ status: 'CANCELLED', cancelRequestedBy: 'Somebody else' });
  expect(facts.cancelRequestedAt).not.toBeNull();
  expect(facts.startedBy).not.toBe('Somebody else');
});

test('of two who ask for the end of a running run the first is told', async () => {
  await using app = await startTestApp();
  await app.connect();
  const [cohort] = await addCohorts(app, [people(1)]);
  const released = Promise.withResolvers<void>();
  const reached = Promise.withResolvers<void>();
  const hold = () => {
    reached.resolve();
    return released.promise;
  };
  app.sandbox.faults.add({ operation: 'iterable.subscribe', hold });
  const { runId } = await app.startSync(cohort!.id);
  await reached.promise;
  for (const name of ['First', 'Second']) {
    const { api } = await makeToken(app, 'ADMIN', { name });
    await api.query(CANCEL, { id: runId });
  }
  released.resolve();
  await app.untilOver(runId);
  expect(await factsOf(app, runId)).toMatchObject({ status: 'CANCELLED', cancelRequestedBy: 'First' });
});
