import { expect, test } from 'vitest';
import { forgetLedgers } from '../src/sync/forget-ledgers.ts';
import { person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const without = (distinctId: string) => ({ distinctId });
const odd = (distinctId: string) => ({ distinctId, properties: { $email: 'no address' } });

const RUNS = `query ($id: ID!) { export(id: $id) { runs { edges { node {
  id counts { rejected } rejectedByReason { reason count }
} } } } }`;

async function readRuns(app: TestApp, exportId: string) {
  const { export: exported } = await app.api.query(RUNS, { id: exportId });
  return exported.runs.edges.map((edge: { node: unknown }) => edge.node);
}

test('each run tells whom it rejected by reason, the most frequent first, then by name', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), without('b'), odd('c'), without('d')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [person('a'), odd('b'), odd('c'), without('d'), without('e')]);
  await app.runToEnd(exportId);
  app.mixpanel.setMembers(cohort.externalId, [person('a')]);
  await app.runToEnd(exportId);
  expect(await readRuns(app, exportId)).toMatchObject([
    { counts: { rejected: 0 }, rejectedByReason: [] },
    {
      counts: { rejected: 4 },
      rejectedByReason: [
        { reason: 'INVALID_EMAIL', count: 2 },
        { reason: 'MISSING_EMAIL', count: 2 },
      ],
    },
    {
      counts: { rejected: 3 },
      rejectedByReason: [
        { reason: 'MISSING_EMAIL', count: 2 },
        { reason: 'INVALID_EMAIL', count: 1 },
      ],
    },
  ]);
});

test('what was asked of a run that goes on is counted again once it is over', async () => {
  await using app = await startTestApp();
  await app.connect();
  app.iterable.forgetUsers('email', 'gone@example.com');
  const came = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const hold = () => {
    came.resolve();
    return answered.promise;
  };
  app.sandbox.faults.add({ operation: 'iterable.subscribe', times: 1, hold });
  const cohort = await app.addCohort('Trial', [person('a'), person('gone'), without('nobody')]);
  const { runId, exportId } = await app.startSync(cohort.id);
  await came.promise;
  const missing = { reason: 'MISSING_EMAIL', count: 1 };
  expect(await readRuns(app, exportId)).toMatchObject([{ id: runId, rejectedByReason: [missing] }]);
  answered.resolve();
  await app.untilOver(runId);
  const over = { id: runId, rejectedByReason: [{ reason: 'ITERABLE_FORGOTTEN', count: 1 }, missing] };
  // The second time from memory.
  for (let use = 0; use < 2; use++) expect(await readRuns(app, exportId)).toMatchObject([over]);
});

test('a run whose ledger was deleted tells no reasons any more, and its count stays', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway,worker', LEDGER_RETENTION: '1d' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), without('b')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  app.clock.advance({ hours: 48 });
  await forgetLedgers(app.app.sync);
  expect(await readRuns(app, exportId)).toMatchObject([{ counts: { rejected: 1 }, rejectedByReason: [] }]);
});

test('the reasons of all runs of an answer cost one statement', async () => {
  let statements: string[] = [];
  await using app = await startTestApp({ onStatement: (text) => statements.push(text) });
  await app.connect();
  for (const name of ['One', 'Two', 'Three']) {
    const cohort = await app.addCohort(name, [person(name), without('b')]);
    const { exportId } = await app.syncToEnd(cohort.id);
    await app.runToEnd(exportId);
  }
  statements = [];
  const { exports, syncRuns } = await app.api.query(`{
    exports { edges { node { lastRun { rejectedByReason { count } } } } }
    syncRuns { edges { node { rejectedByReason { reason count } } } }
  }`);
  expect(exports.edges).toHaveLength(3);
  for (const { node } of syncRuns.edges)
    expect(node.rejectedByReason).toEqual([{ reason: 'MISSING_EMAIL', count: 1 }]);
  const counting = statements.filter((text) => text.includes('from rejections'));
  // Runs of a page and newest runs are found at different moments.
  expect(counting.length).toBeLessThanOrEqual(2);
});
