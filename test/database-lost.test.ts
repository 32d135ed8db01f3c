import { expect, test, vi } from 'vitest';
import { breakConnections, startOwnPostgres } from './support/own-postgres.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Starting a server, and missing a heartbeat, take their time. */
vi.setConfig({ testTimeout: 240_000 });

const BATCH_SIZE = 10;
const CONCURRENCY = 2;
const BATCHES = 12;
// A request of the test's own that meets the break fails, and the log says so.
const allowFaults = true;
const ENV = { ITERABLE_BATCH_SIZE: String(BATCH_SIZE), ITERABLE_CONCURRENCY: String(CONCURRENCY) };

/** A run whose database is disturbed several times while batches are on their way, and an undisturbed one after it. */
async function runDisturbed(app: TestApp, times: number, disturb: () => Promise<void>): Promise<void> {
  await app.connect();
  const cohort = await app.addCohort('Trial', people(BATCHES * BATCH_SIZE));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 200 });
  const { runId, exportId } = await app.startSync(cohort.id);
  const bodies = () =>
    app.sandbox.calls.of('iterable.subscribe').map(({ subscribers }) => JSON.stringify(subscribers));
  for (let time = 1; time <= times; time++) {
    await app.sandbox.calls.until(() => new Set(bodies()).size >= 3 * time);
    await disturb();
  }
  // Whoever watches it may be broken off with the database.
  const run = await vi.waitFor(
    async () => {
      const read = await app.readRun(runId);
      expect(read.finishedAt).not.toBeNull();
      return read;
    },
    { timeout: 180_000, interval: 200 },
  );
  const all = BATCHES * BATCH_SIZE;
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: all, added: all, notProcessed: 0 },
  });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(all);
  expect(await app.readLedger(runId, { outcome: 'ADDED' })).toHaveLength(all);
  expect(new Set(bodies()).size).toBe(BATCHES);
  expect(bodies().length).toBeLessThanOrEqual(BATCHES + times * CONCURRENCY);

  app.sandbox.faults.clear();
  expect((await app.runToEnd(exportId)).counts).toMatchObject({ unchanged: all, requestsSent: 0 });
}

// Most of the time each of them waits for a heartbeat to be missed.
test.concurrent('a run survives that all connections to the database break, three times', async () => {
  await using app = await startTestApp({ env: ENV, allowFaults });
  await runDisturbed(app, 3, () => breakConnections(app.database.url));
});

test.concurrent('after a crash of PostgreSQL a run goes on, and only what was on its way is sent again', async () => {
  await using server = await startOwnPostgres();
  await using app = await startTestApp({ env: { ...ENV, DATABASE_URL: server.url }, allowFaults });
  await runDisturbed(app, 1, () => server.crash());
});
