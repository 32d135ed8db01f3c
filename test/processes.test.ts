import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { countRunsOf, startAnother } from './support/another-app.ts';
import { readExport } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** The run as the database knows it. */
async function findRun(app: TestApp, runId: string) {
  const id = Buffer.from(runId, 'base64url').toString().split(':')[1]!;
  return await app.app.sync.db
    .selectFrom('sync_runs')
    .select(['id', 'project_id', 'attempt'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow();
}

async function countJobs(app: TestApp, state: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from pgboss.job where name = 'sync-run' and state::text = ${state}`.execute(
    app.app.sync.db,
  );
  return rows[0]!.count;
}

test('a run that somehow has two jobs goes on with one of them, and the other is over', async () => {
  await using app = await startTestApp();
  await using _other = await startAnother(app, { env: { ROLES: 'worker' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(3));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 3_000, times: 1 });
  const { runId } = await app.startSync(cohort.id);
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  const { sync } = app.app;
  await sync.jobs.addRun(sync.db, await findRun(app, runId));
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3 } });
  await expect.poll(() => countJobs(app, 'completed'), { timeout: 60_000 }).toBe(2);
  // Each of the two once: they do not take the run from each other again and again.
  expect(countRunsOf(app.logs)).toBe(2);
  expect(await findRun(app, runId)).toMatchObject({ attempt: 2 });
});

test('of several schedulers one starts a due export, at every beat', async () => {
  await using app = await startTestApp({ env: { MIXPANEL_QUERIES_PER_HOUR: '0' } });
  await using _second = await startAnother(app, { env: { ROLES: 'worker,scheduler' } });
  await using _third = await startAnother(app, { env: { ROLES: 'worker,scheduler' } });
  await app.connect();
  const exportIds: string[] = [];
  for (const name of ['One', 'Two']) {
    const cohort = await app.addCohort(name, people(2, name.toLowerCase()));
    exportIds.push((await app.syncToEnd(cohort.id, 'DYNAMIC')).exportId);
  }
  for (let beat = 1; beat <= 3; beat++) {
    app.clock.advance({ minutes: 15 });
    for (const exportId of exportIds) await app.untilRuns(exportId, beat + 1);
  }
  for (const exportId of exportIds) {
    expect(await readExport(app, exportId)).toMatchObject({
      runs: { totalCount: 4 },
      nextRunAt: '2030-01-01T01:00:00.000Z',
    });
  }
});

test('what Iterable asks one process to wait, another one waits too', { timeout: 120_000 }, async () => {
  const env = { ITERABLE_REQUESTS_PER_SECOND: '5', ITERABLE_BATCH_SIZE: '1', PARTNER_RETRY_BUDGET: '60s' };
  await using app = await startTestApp({ realTime: true, env: { ...env, ROLES: 'gateway,worker' } });
  await app.connect();
  const { calls, faults } = app.sandbox;
  const runIds = [(await app.startSync((await app.addCohort('First', people(30))).id)).runId];
  await calls.until((all) => all.some((call) => call.operation === 'iterable.subscribe'));
  await using other = await startAnother(app, { realTime: true, env: { ROLES: 'worker' } });
  // Which process takes which run is nobody's choice.
  while (countRunsOf(other.logs) === 0) {
    const cohort = await app.addCohort(`Further ${runIds.length}`, people(30, `f${runIds.length}-`));
    runIds.push((await app.startSync(cohort.id)).runId);
    const started = () => countRunsOf(app.logs);
    await expect.poll(started, { timeout: 60_000 }).toBe(runIds.length);
  }
  const lists = () => new Set(calls.of('iterable.subscribe').map((call) => call.listId));
  await calls.until(() => lists().size === runIds.length);
  const body = { msg: 'Exceeded rate limit.', code: 'RateLimitExceeded', params: { rateLimitReset: 3 } };
  faults.add({ operation: 'iterable.subscribe', reply: { status: 429, body }, times: 1 });
  await calls.until((all) => all.some((call) => call.status === 429));
  const sent = () => calls.of('iterable.subscribe');
  const refusedAt = sent().findIndex((call) => call.status === 429);
  await calls.until(() => sent().length >= refusedAt + 8);
  const after = sent().slice(refusedAt);
  // One more may have been on its way already.
  expect(after[2]!.at - after[0]!.at).toBeGreaterThanOrEqual(2_900);
  expect(after.slice(1).map((call) => call.status)).toEqual(Array(after.length - 1).fill(200));
});
