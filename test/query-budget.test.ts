import { describe, expect, test } from 'vitest';
import type { Call } from '../sandbox/calls.ts';
import { startAnother } from './support/another-app.ts';
import {
  cohortsRead,
  readBudget,
  SOON,
  THREE_AN_HOUR,
  untilParked,
  untilWaitingInside,
  useUpTheHour,
} from './support/mixpanel-waits.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

const REFRESH = 'mutation { refreshCohorts { id } }';
const HOUR_MS = 3_600_000;

/** No beat reads the cohort list on its own; of the hour, one query is kept for it. */
const quiet = { COHORT_REFRESH_INTERVAL: '24h' };

const isCounted = (call: Call) =>
  call.operation === 'mixpanel.cohorts' || (call.operation === 'mixpanel.engage' && call.page === 0);

test('two processes never send more than the budget within any hour', async () => {
  const perHour = 6;
  await using app = await startTestApp({
    env: { MIXPANEL_QUERIES_PER_HOUR: String(perHour), COHORT_REFRESH_INTERVAL: '1h' },
    mixpanel: { queriesPerHour: perHour },
  });
  await using other = await startAnother(app);
  await app.connect();
  const cohorts = await addCohorts(
    app,
    Array.from({ length: 5 }, () => people(2)),
  );
  app.sandbox.faults.add({ operation: 'mixpanel', reply: { status: 500, body: 'x' }, chance: 0.2 });
  for (const cohort of cohorts) await app.startSync(cohort.id, 'DYNAMIC');
  // Refused or not: only what Mixpanel receives matters here.
  const actions: Promise<unknown>[] = [];
  const timer = setInterval(() => {
    app.clock.advance({ seconds: Math.ceil(Math.random() * 200) });
    const { api } = Math.random() < 0.5 ? app : other;
    if (Math.random() < 0.1) actions.push(api.send(REFRESH));
  }, 50);
  const counted = () => app.sandbox.calls.all.filter(isCounted);
  await app.sandbox.calls.until(() => counted().length >= 2.5 * perHour);
  clearInterval(timer);
  await Promise.all(actions);
  expect(counted().filter((call) => call.status === 429)).toEqual([]);
  const times = counted().map((call) => call.at);
  const within = times.map((at) => times.filter((one) => one > at - HOUR_MS && one <= at).length);
  expect(Math.max(...within)).toBeLessThanOrEqual(perHour);
  // And it is used: there was more to do than it allowed.
  expect(Math.max(...within)).toBeGreaterThan(perHour / 2);
});

test('a clock that is set back makes nobody wait for longer than an hour', async () => {
  await using app = await startTestApp({ env: THREE_AN_HOUR });
  const { cohorts } = await useUpTheHour(app);
  app.clock.set('2029-12-31T20:00:00.000Z');
  const isRecalled = (line: Record<string, unknown>) =>
    line.msg === 'times too far ahead were brought forward';
  await expect.poll(() => app.logs.some(isRecalled), SOON).toBe(true);
  const { runId } = await app.startSync(cohorts[0]!.id);
  await untilParked(app, runId);
  app.clock.advance({ hours: 1 });
  expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
});

describe('what Mixpanel counts is counted', () => {
  test('each retry of the cohort list and of a first page, none of a later one', async () => {
    await using app = await startTestApp({ env: quiet, mixpanel: { defaultPageSize: 1 } });
    await app.connect();
    const failure = { reply: { status: 503, body: 'x' }, times: 1 };
    app.sandbox.faults.add({ operation: 'mixpanel.cohorts', ...failure });
    const [cohort] = await addCohorts(app, [people(3)]);
    expect((await readBudget(app)).queriesUsedLastHour).toBe(3);
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 0, ...failure });
    app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 2, ...failure });
    expect((await app.syncToEnd(cohort!.id)).status).toBe('SUCCEEDED');
    expect(app.sandbox.calls.of('mixpanel.engage')).toHaveLength(5);
    expect((await readBudget(app)).queriesUsedLastHour).toBe(5);
  });

  test('but nothing of somebody who may not read the project', async () => {
    await using app = await startTestApp({ env: THREE_AN_HOUR });
    await app.connect();
    for (let attempt = 1; attempt <= 4; attempt++) {
      const error = await app
        .connectMixpanel({ serviceAccountSecret: 'wrong' })
        .catch((refused: unknown) => refused);
      expect(String(error)).toContain('INVALID_CREDENTIALS');
    }
    expect((await readBudget(app)).queriesUsedLastHour).toBe(1);
  });

  test('so that a retry waits for a query like any other, or says when there is one', async () => {
    await using app = await startTestApp({ env: THREE_AN_HOUR });
    await app.connect();
    const [cohort] = await addCohorts(app, [people(2)]);
    app.sandbox.faults.add({ operation: 'mixpanel.engage', drop: 'after', times: 1 });
    app.clock.advance({ minutes: 30 });
    const { runId } = await app.startSync(cohort!.id);
    await untilParked(app, runId);
    expect(app.sandbox.calls.of('mixpanel.engage')).toHaveLength(1);
    // The run comes first at 1:00, when the queries of 0:00 are forgotten.
    app.clock.advance({ minutes: 15 });
    const error = await app.api.fail(REFRESH);
    expect(error.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 15 * 60 });
    app.clock.advance({ minutes: 15 });
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 2 } });
  });

  test('later pages too where the setting says so: a read goes on where it waited', async () => {
    await using app = await startTestApp({
      env: { ...quiet, MIXPANEL_QUERIES_PER_HOUR: '6', MIXPANEL_COUNT_EVERY_PAGE: 'true' },
      mixpanel: {
        queriesPerHour: 6,
        laterPagesCount: true,
        defaultPageSize: 1,
        sessionLifeMs: 3 * HOUR_MS,
      },
    });
    await app.connect();
    const [cohort] = await addCohorts(app, [people(7)]);
    app.clock.advance({ minutes: 1 });
    const { runId } = await app.startSync(cohort!.id);
    await untilWaitingInside(app, runId, 3);
    const readProgress = async () => (await app.readRun(runId)).progress;
    await expect.poll(readProgress, SOON).toBeCloseTo((4 / 7) * 0.4);
    app.clock.advance({ hours: 1 });
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { members: 7 } });
    const pages = app.sandbox.calls.of('mixpanel.engage');
    expect(pages.map((call) => call.page).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(pages.every((call) => call.status === 200)).toBe(true);
  });
});

describe('the cohort list', () => {
  test('keeps its share of the hour, however many runs wait, and takes no more than that from them', async () => {
    await using app = await startTestApp({ env: { MIXPANEL_QUERIES_PER_HOUR: '8' } });
    await app.connect();
    const cohorts = await addCohorts(
      app,
      Array.from({ length: 7 }, () => people(1)),
    );
    const runs = [];
    for (const cohort of cohorts) runs.push(await app.startSync(cohort.id));
    await Promise.all(runs.slice(4).map((run) => untilParked(app, run.runId)));
    const readRefreshedAt = async () =>
      (await app.api.query('{ mixpanel { cohortsRefreshedAt } }')).mixpanel.cohortsRefreshedAt;
    for (const minute of [15, 30]) {
      app.clock.advance({ minutes: 15 });
      await expect.poll(readRefreshedAt, SOON).toBe(`2030-01-01T00:${minute}:00.000Z`);
    }
    expect(cohortsRead(app)).toHaveLength(4);
    expect((await app.api.fail(REFRESH)).extensions.code).toBe('RATE_LIMITED');
    app.clock.set('2030-01-01T01:00:00.000Z');
    for (const { runId } of runs) expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
  });

  test('is read as soon as there is a query when there was none at its time', async () => {
    await using app = await startTestApp({
      env: { MIXPANEL_QUERIES_PER_HOUR: '2', COHORT_REFRESH_INTERVAL: '50m' },
    });
    app.mixpanel.addCohort({ name: 'Known', members: people(1) });
    await app.connect();
    const { cohorts } = await app.api.query('{ cohorts { edges { node { id } } } }');
    expect((await app.syncToEnd(cohorts.edges[0].node.id)).status).toBe('SUCCEEDED');
    app.clock.advance({ minutes: 50 });
    const isRefused = (line: Record<string, unknown>) => line.msg === 'the cohort list could not be read';
    await expect.poll(() => app.logs.some(isRefused), SOON).toBe(true);
    app.clock.advance({ minutes: 10 });
    await app.sandbox.calls.until((calls) => calls.filter(isCounted).length === 3);
    expect(app.sandbox.calls.all.filter(isCounted).map((call) => call.operation)).toEqual([
      'mixpanel.cohorts',
      'mixpanel.engage',
      'mixpanel.cohorts',
    ]);
  });
});
