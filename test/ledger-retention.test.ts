import { expect, test } from 'vitest';
import { forgetLedgers } from '../src/sync/forget-ledgers.ts';
import { people, person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

const LEDGER = `query ($id: ID!) { syncRun(id: $id) { ledgerDeletedAt counts { added removed rejected }
  members { totalCount edges { node { outcome } } } } }`;

test('ledgers end after thirty days; the counts stay, and so does the list', async () => {
  await using app = await startTestApp({
    now: '2030-01-01T00:00:00Z',
    env: { ROLES: 'gateway,worker', DRIFT_CHECK_INTERVAL: 'off' },
  });
  await app.connect();
  const nobody = { distinctId: 'nobody' };
  const cohort = await app.addCohort('Old', [...people(5), nobody]);
  const first = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, [...people(5).slice(1), person('new'), nobody]);
  app.clock.advance({ hours: 20 * 24 });
  const second = await app.runToEnd(first.exportId);
  const read = async (id: string) => (await app.api.query(LEDGER, { id })).syncRun;

  app.clock.advance({ hours: 10 * 24 });
  expect(await forgetLedgers(app.app.sync)).toBe(0);
  app.clock.advance({ seconds: 1 });
  expect(await forgetLedgers(app.app.sync)).toBe(1);
  expect(await read(first.id)).toMatchObject({
    ledgerDeletedAt: '2030-01-31T00:00:01.000Z',
    counts: { added: 5, removed: 0, rejected: 1 },
    members: { totalCount: 0, edges: [] },
  });
  const kept = await read(second.id);
  expect(kept).toMatchObject({ ledgerDeletedAt: null, counts: { added: 1, removed: 1, rejected: 1 } });
  expect(kept.members.edges.map((edge: { node: { outcome: string } }) => edge.node.outcome)).toEqual([
    'ADDED',
    'REMOVED',
    'REJECTED',
  ]);

  app.clock.advance({ hours: 30 * 24 });
  expect(await forgetLedgers(app.app.sync)).toBe(1);
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({
    members: 6,
    unchanged: 5,
    rejected: 1,
    added: 0,
    removed: 0,
    requestsSent: 0,
  });
  app.mixpanel.setMembers(cohort.externalId, [person('new')]);
  expect((await app.runToEnd(first.exportId)).counts).toMatchObject({ unchanged: 1, removed: 4 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['new@example.com']);
});

test('the ledger of a large run is deleted in steps, and "off" keeps all of them', async () => {
  await using app = await startTestApp({
    now: '2030-01-01T00:00:00Z',
    env: { ROLES: 'gateway,worker', ITERABLE_BATCH_SIZE: '1', DRIFT_CHECK_INTERVAL: 'off' },
  });
  await app.connect();
  const cohort = await app.addCohort('Large', people(450));
  const run = await app.syncToEnd(cohort.id);
  app.clock.advance({ hours: 31 * 24 });
  const { sync } = app.app;
  const kept = { ...sync, env: { ...sync.env, ledgerRetentionMs: undefined } };
  expect(await forgetLedgers(kept)).toBe(0);
  expect((await app.api.query(LEDGER, { id: run.id })).syncRun.members.totalCount).toBe(450);
  expect(await forgetLedgers(sync)).toBe(1);
  expect((await app.api.query(LEDGER, { id: run.id })).syncRun.members.totalCount).toBe(0);
  expect((await app.runToEnd(run.exportId)).counts).toMatchObject({ unchanged: 450, requestsSent: 0 });
});
