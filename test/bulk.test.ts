import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { act } from './support/export-operations.ts';
import { importFile } from './support/import-file.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const START = `mutation ($inputs: [StartSyncInput!]!) { startSyncs(inputs: $inputs) {
  cohortId run { id status export { syncType } } error { code message runId } } }`;
const PAUSE =
  'mutation ($ids: [ID!]!) { pauseExports(ids: $ids) { exportId export { id status } error { code message runId } } }';
const RESUME = PAUSE.replace('pauseExports', 'resumeExports');
const noWorker = { ROLES: 'gateway' };

test('several exports are started, each with a result of its own, and none undoes another', async () => {
  await using app = await startTestApp();
  await app.connect();
  const [first, busy, second] = await addCohorts(app, [people(2), people(2, 'b'), people(3, 's')]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', hang: true, times: 1 });
  const { runId } = await app.startSync(busy!.id);
  await app.sandbox.calls.until((calls) => calls.some(({ operation }) => operation === 'iterable.subscribe'));
  const missing = first!.id.replace(/.$/, (last) => (last === 'x' ? 'y' : 'x'));
  const inputs = [first!.id, busy!.id, missing, 'no id', second!.id, second!.id].map((cohortId) => ({
    cohortId,
    syncType: 'ONE_TIME',
  }));
  const { startSyncs } = await app.api.query(START, { inputs });
  const started = { run: { status: expect.any(String), export: { syncType: 'ONE_TIME' } }, error: null };
  expect(startSyncs).toMatchObject([
    { cohortId: first!.id, ...started },
    { cohortId: busy!.id, run: null, error: { code: 'SYNC_ALREADY_RUNNING', runId } },
    { cohortId: missing, run: null, error: { code: 'NOT_FOUND', runId: null } },
    { cohortId: 'no id', run: null, error: { code: 'NOT_FOUND', runId: null } },
    { cohortId: second!.id, ...started },
    { cohortId: second!.id, run: null, error: { code: 'SYNC_ALREADY_RUNNING', runId: startSyncs[4].run.id } },
  ]);
  for (const index of [0, 4]) {
    expect(await app.untilOver(startSyncs[index].run.id)).toMatchObject({ status: 'SUCCEEDED' });
  }
  await act(app, 'cancel', runId);
});

test('several exports are paused and resumed, each with a result of its own', async () => {
  await using app = await startTestApp({ env: noWorker });
  await app.connectIterable();
  const ids: string[] = [];
  for (const name of ['A', 'B', 'C']) {
    const cohort = await importFile(app.api, name, 'email\na@example.com\n');
    ids.push((await app.startSync(cohort.id, 'DYNAMIC')).exportId);
  }
  await app.api.query('mutation ($id: ID!) { stopExport(exportId: $id) { status } }', { id: ids[1] });
  const pausedAs = (status: string) => [
    { exportId: ids[0], export: { id: ids[0], status }, error: null },
    { exportId: ids[1], export: null, error: { code: 'INVALID_STATE', runId: null } },
    { exportId: ids[2], export: { id: ids[2], status }, error: null },
  ];
  expect((await app.api.query(PAUSE, { ids })).pauseExports).toMatchObject(pausedAs('PAUSED'));
  expect((await app.api.query(RESUME, { ids })).resumeExports).toMatchObject(pausedAs('ACTIVE'));
  expect(await app.api.query(PAUSE, { ids: [] })).toEqual({ pauseExports: [] });
});

test('who may not change anything may not change several things, and there is a bound', async () => {
  await using app = await startTestApp({ env: noWorker });
  const { api: analyst } = await makeToken(app, 'ANALYST');
  expect((await analyst.fail(PAUSE, { ids: [] })).extensions.code).toBe('FORBIDDEN');
  const ids = Array.from({ length: 101 }, (_, index) => String(index));
  const { message, extensions } = await app.api.fail(PAUSE, { ids });
  expect(extensions.code).toBe('BAD_USER_INPUT');
  expect(message).toBe('ids: must have at most 100 items.');
});

test('a fault of ours with one item is told in its place, and the others go on', async () => {
  await using app = await startTestApp({ env: noWorker, allowFaults: true });
  await app.connectIterable();
  const [bad, good] = [
    await importFile(app.api, 'Bad', 'email\na@example.com\n'),
    await importFile(app.api, 'Good', 'email\na@example.com\n'),
  ];
  const { db } = app.app.sync;
  await sql`alter table exports add constraint none check (list_name not like '%Bad%')`.execute(db);
  const inputs = [bad, good].map(({ id }) => ({ cohortId: id, syncType: 'ONE_TIME' }));
  const { data, errors } = await app.api.send(START, { inputs });
  expect(errors).toMatchObject([
    {
      message: 'Unexpected error.',
      path: ['startSyncs', 0, 'run'],
      extensions: { errorId: expect.any(String) },
    },
  ]);
  expect(data.startSyncs).toMatchObject([
    { cohortId: bad.id, run: null, error: null },
    { cohortId: good.id, run: { status: 'QUEUED' }, error: null },
  ]);
});
