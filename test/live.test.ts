import pg from 'pg';
import { expect, test } from 'vitest';
import { startApp } from '../src/app.ts';
import { readEnv } from '../src/env.ts';
import { type ApiClient, createApiClient } from './support/api-client.ts';
import { type RunSnapshot, startTestApp, type TestApp } from './support/test-app.ts';
import { TRANSPORTS, type Transport, untilValue, watch } from './support/watch.ts';

const people = (count: number) => ({
  count,
  member: (index: number) => ({
    distinctId: `p-${index}`,
    properties: index % 10 === 9 ? {} : { $email: `p-${index}@example.com` },
  }),
});

const PROGRESS = `subscription ($id: ID!) { syncProgress(runId: $id) {
  id status phase progress revision finishedAt
  counts { members added unchanged removed rejected notProcessed } } }`;

async function collectProgress(api: ApiClient, transport: Transport, runId: string): Promise<RunSnapshot[]> {
  const snapshots: RunSnapshot[] = [];
  for await (const value of watch(api, transport, PROGRESS, { id: runId }))
    snapshots.push(value.syncProgress);
  return snapshots;
}

/** A run of many small, slow batches, so that there is something to watch. */
async function startSlowRun(app: TestApp): Promise<string> {
  await app.connect();
  const cohort = await app.addCohort('Watched', people(60));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 100 });
  return (await app.startSync(cohort.id, 'DYNAMIC')).runId;
}

const SLOW = { ITERABLE_BATCH_SIZE: '5', ITERABLE_CONCURRENCY: '1' };

test.for(TRANSPORTS)(
  'a run is watched from now to its end over %s, in order, and its counts always add up',
  async (transport) => {
    await using app = await startTestApp({ env: SLOW });
    const runId = await startSlowRun(app);
    const snapshots = await collectProgress(app.api, transport, runId);
    expect(snapshots.length).toBeGreaterThan(5);
    const last = snapshots.at(-1)!;
    expect(last).toMatchObject({ status: 'PARTIALLY_SUCCEEDED', phase: 'DONE', progress: 1 });
    expect(last.counts).toMatchObject({ members: 60, added: 54, rejected: 6, notProcessed: 0 });
    for (const [index, { revision, progress, counts }] of snapshots.entries()) {
      const { members, added, unchanged, rejected, notProcessed } = counts;
      expect(added + unchanged + rejected + notProcessed).toBe(members);
      const before = snapshots[index - 1];
      if (!before) continue;
      expect(revision).toBeGreaterThan(before.revision);
      expect(progress).toBeGreaterThanOrEqual(before.progress);
    }
  },
);

test.for(TRANSPORTS)(
  'who comes after the end of a run is told of it once over %s, and the stream is complete',
  async (transport) => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Over', people(3));
    const { id } = await app.syncToEnd(cohort.id);
    const snapshots = await collectProgress(app.api, transport, id);
    expect(snapshots.map(({ status, phase }) => [status, phase])).toEqual([['SUCCEEDED', 'DONE']]);
  },
);

test.for(TRANSPORTS)(
  'runs, exports and integrations show what is there at once over %s, then what changes',
  async (transport) => {
    await using app = await startTestApp();
    await app.connect();
    const cohort = await app.addCohort('Trial', people(3));
    const { id: firstRun, exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
    const runs = watch(app.api, transport, 'subscription { syncRunUpdated { id status } }');
    const exports = watch(
      app.api,
      transport,
      'subscription ($id: ID) { exportUpdated(exportId: $id) { status lastRun { id status } } }',
      { id: exportId },
    );
    const integrations = watch(
      app.api,
      transport,
      'subscription { integrationUpdated { status attention } }',
    );
    expect((await runs.next()).value).toEqual({ syncRunUpdated: { id: firstRun, status: 'SUCCEEDED' } });
    expect((await exports.next()).value.exportUpdated).toMatchObject({
      status: 'ACTIVE',
      lastRun: { id: firstRun },
    });
    expect((await integrations.next()).value.integrationUpdated).toMatchObject({ status: 'CONNECTED' });

    const secondRun = await app.runExport(exportId);
    await untilValue(runs, ({ syncRunUpdated: run }) => run.id === secondRun && run.status === 'SUCCEEDED');
    await untilValue(
      exports,
      ({ exportUpdated: { lastRun } }) => lastRun.id === secondRun && lastRun.status === 'SUCCEEDED',
    );
    await app.api.query('mutation { disconnectIntegration(input: {}) { id } }');
    await untilValue(integrations, ({ integrationUpdated }) => integrationUpdated.status === 'DISCONNECTED');
    await untilValue(exports, ({ exportUpdated }) => exportUpdated.status === 'STOPPED');
  },
);

test('a run that a worker in another process executes is watched at the gateway', async () => {
  await using app = await startTestApp({ env: { ...SLOW, ROLES: 'gateway' } });
  const runId = await startSlowRun(app);
  const watching = TRANSPORTS.map((transport) => collectProgress(app.api, transport, runId));
  const worker = await startApp({
    env: readEnv({ ...app.env, ROLES: 'worker' }, false),
    logger: app.app.sync.logger,
    clock: app.clock,
  });
  try {
    for (const snapshots of await Promise.all(watching)) {
      expect(snapshots.length).toBeGreaterThan(5);
      expect(snapshots.at(-1)).toMatchObject({ status: 'PARTIALLY_SUCCEEDED', progress: 1 });
    }
  } finally {
    await worker.stop();
  }
});

test('a run is watched at one gateway while another one is asked to cancel it', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await app.connect();
  const cohort = await app.addCohort('Watched', people(3));
  const { runId } = await app.startSync(cohort.id);
  const other = await startApp({
    env: readEnv({ ...app.env, ROLES: 'gateway' }, false),
    logger: app.app.sync.logger,
    clock: app.clock,
  });
  try {
    const values = watch(createApiClient(other.url!, app.ownerSecret), 'WebSocket', PROGRESS, { id: runId });
    expect((await values.next()).value.syncProgress.status).toBe('QUEUED');
    await app.api.query('mutation ($id: ID!) { cancelSyncRun(runId: $id) { id } }', { id: runId });
    expect((await values.next()).value.syncProgress.status).toBe('CANCELLED');
    expect((await values.next()).done).toBe(true);
  } finally {
    await other.stop();
  }
});

test('after the listening connection broke, watchers are still told of the end', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await app.connect();
  const cohort = await app.addCohort('Watched', people(3));
  const { runId } = await app.startSync(cohort.id);
  const values = watch(app.api, 'WebSocket', PROGRESS, { id: runId });
  await values.next();
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  // In one transaction: the end is announced after the connection has gone, and before there is another one.
  await client.query(`begin;
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where application_name = 'cohort-sync-listener' and datname = current_database();
    update sync_runs set status = 'CANCELLED', phase = 'DONE', finished_at = now();
    commit`);
  await client.end();
  expect((await values.next()).value.syncProgress).toMatchObject({ status: 'CANCELLED' });
  expect((await values.next()).done).toBe(true);
});
