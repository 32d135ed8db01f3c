import { sql } from 'kysely';
import { describe, expect, test } from 'vitest';
import { startAnother } from './support/another-app.ts';
import { act, readExport } from './support/export-operations.ts';
import { importFile } from './support/import-file.ts';
import { cohortsRead, SOON, THREE_AN_HOUR, untilParked, useUpTheHour } from './support/mixpanel-waits.ts';
import { startTestApp } from './support/test-app.ts';

describe('queries that become free go to the runs in the order in which they were queued', () => {
  test('by hand or on the grid, whatever process queued them, past those that were cancelled', async () => {
    await using app = await startTestApp({ env: { ...THREE_AN_HOUR, DYNAMIC_SYNC_INTERVAL: '30m' } });
    await using other = await startAnother(app);
    const { used, exportId, cohorts } = await useUpTheHour(app, 'DYNAMIC');
    const [early, cancelled, late] = cohorts;
    app.sandbox.calls.clear();
    const { startSync: first } = await other.api.query(
      'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }',
      { id: early!.id },
    );
    const second = await app.startSync(cancelled!.id);
    await Promise.all([untilParked(app, first.id), untilParked(app, second.runId)]);
    app.clock.set('2030-01-01T00:50:00.000Z');
    await expect.poll(async () => (await readExport(app, exportId)).runs.totalCount, SOON).toBe(2);
    app.clock.advance({ minutes: 5 });
    const last = await app.startSync(late!.id);
    await untilParked(app, last.runId);
    expect(await act(app, 'cancel', second.runId)).toEqual({ status: 'CANCELLED', phase: 'DONE' });

    app.clock.set('2030-01-01T01:00:00.000Z');
    expect((await app.untilOver(first.id)).status).toBe('SUCCEEDED');
    expect(cohortsRead(app)).toEqual([early!.externalId]);
    app.clock.set('2030-01-01T01:20:00.000Z');
    await app.untilRuns(exportId, 2);
    expect(cohortsRead(app)).toEqual([early!.externalId, used.externalId]);
    app.clock.set('2030-01-01T02:00:00.000Z');
    expect((await app.untilOver(last.runId)).status).toBe('SUCCEEDED');
    expect(cohortsRead(app).slice(0, 3)).toEqual([early, used, late].map((cohort) => cohort!.externalId));
  });

  test('and a run that waits when Mixpanel is disconnected says so', async () => {
    await using app = await startTestApp({ env: THREE_AN_HOUR });
    const { cohorts } = await useUpTheHour(app);
    const { runId } = await app.startSync(cohorts[0]!.id);
    await untilParked(app, runId);
    await app.api.query('mutation { disconnectMixpanel { id } }');
    expect(await app.untilOver(runId)).toMatchObject({
      status: 'FAILED',
      error: { code: 'SOURCE_UNAUTHORIZED' },
    });
  });
});

test('runs that wait for a query take no worker from others, whatever their number', async () => {
  await using app = await startTestApp({ env: THREE_AN_HOUR });
  const { cohorts } = await useUpTheHour(app);
  const waiting = await Promise.all(cohorts.map((cohort) => app.startSync(cohort.id)));
  expect(waiting.length).toBeGreaterThan(8);
  await Promise.all(waiting.map((run) => untilParked(app, run.runId)));
  // No job is left that a worker would take up.
  const jobs =
    await sql`select state from pgboss.job where name = 'sync-run' and state < 'completed'`.execute(
      app.app.sync.db,
    );
  expect(jobs.rows).toEqual([]);
  const file = await importFile(app.api, 'File', 'distinct_id,email\nu1,u1@example.com\n');
  expect((await app.syncToEnd(file.id)).status).toBe('SUCCEEDED');
});
