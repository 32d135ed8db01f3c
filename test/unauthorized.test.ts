import { expect, test } from 'vitest';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const REFUSAL = {
  status: 401,
  body: { msg: 'Disabled API key or insufficient privileges', code: 'BadApiKey', params: { ip: '::1' } },
};

async function readState(app: TestApp, exportId: string) {
  const { integration, export: exported } = await app.api.query(
    `query ($id: ID!) {
      integration(provider: ITERABLE) { status attention }
      export(id: $id) { status nextRunAt runs { totalCount } }
    }`,
    { id: exportId },
  );
  return {
    integration,
    status: exported.status,
    nextRunAt: exported.nextRunAt,
    runs: exported.runs.totalCount,
  };
}

test('a key that is refused in the middle of a run stops it at once and needs attention', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '1', ITERABLE_CONCURRENCY: '1' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(4));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', skip: 1, reply: REFUSAL });
  const run = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(run).toMatchObject({
    status: 'FAILED',
    counts: { members: 4, added: 1, notProcessed: 3 },
    error: { code: 'DESTINATION_UNAUTHORIZED', retryable: false },
  });
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(2);
  const state = await readState(app, run.exportId);
  expect(state).toMatchObject({
    integration: { status: 'NEEDS_ATTENTION' },
    status: 'ACTIVE',
    nextRunAt: null,
  });
  expect(state.integration.attention).toContain('Disabled API key');
});

test('a read-only key is found out at the first write', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  for (const key of app.iterable.keys.values()) key.readOnly = true;
  const run = await app.syncToEnd(cohort.id);
  expect(run.error?.code).toBe('DESTINATION_UNAUTHORIZED');
});

test('dynamic exports are held until Iterable is connected again, and then catch up once', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(4));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  for (const key of app.iterable.keys.keys()) app.iterable.revokeKey(key);
  app.mixpanel.setMembers(cohort.externalId, people(5));
  app.clock.advance({ minutes: 15 });
  expect(await app.untilRuns(first.exportId, 2)).toMatchObject({
    status: 'FAILED',
    error: { code: 'DESTINATION_UNAUTHORIZED' },
  });
  // The beat that refreshes the cohorts starts runs as well: two of them have passed by then.
  for (let beats = 0; beats < 2; beats++) {
    app.clock.advance({ minutes: 15 });
    await expect
      .poll(() => app.api.query('{ mixpanel { cohortsRefreshedAt } }'))
      .toEqual({ mixpanel: { cohortsRefreshedAt: app.clock.now().toISOString() } });
  }
  expect(await readState(app, first.exportId)).toMatchObject({ runs: 2, nextRunAt: null });
  await app.connectIterable();
  const caughtUp = await app.untilRuns(first.exportId, 3);
  expect(caughtUp).toMatchObject({ status: 'SUCCEEDED', trigger: 'SCHEDULED', counts: { added: 1 } });
  expect(await readState(app, first.exportId)).toMatchObject({
    integration: { status: 'CONNECTED', attention: null },
    runs: 3,
    nextRunAt: '2030-01-01T01:00:00.000Z',
  });
});
