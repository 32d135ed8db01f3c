import { describe, expect, test } from 'vitest';
import { type SpreadState, spreadRuns } from '../src/sync/spread-runs.ts';
import { startAnother } from './support/another-app.ts';
import { act } from './support/export-operations.ts';
import { cohortsRead, SOON, THREE_AN_HOUR, untilParked, useUpTheHour } from './support/mixpanel-waits.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

describe('exports that take turns', () => {
  const NOW = Date.parse('2030-01-01T10:00:00.000Z');
  const at = (minutes: number) => new Date(NOW + minutes * MINUTE_MS);
  const spread = (wishes: number[], state: Partial<SpreadState> = {}, queries = 1, forRuns = 4) =>
    [
      ...spreadRuns(
        wishes.map((minutes, exportId) => ({ exportId, wishAt: at(minutes), queries })),
        { now: at(0), sentAt: [], inLine: 0, nextScheduledAt: null, heldUntil: null, ...state },
        forRuns,
      ).values(),
    ].map((due) => (due.at.getTime() - NOW) / MINUTE_MS);

  test.each([
    { title: 'wish the same: one after the other', due: spread([5, 5, 5]), expected: [5, 20, 35] },
    { title: 'wish rarely: as they wish', due: spread([5, 40, 41]), expected: [5, 40, 55] },
    {
      title: 'come after the last turn',
      due: spread([5, 5], { nextScheduledAt: at(12) }),
      expected: [12, 27],
    },
    { title: 'are late by a beat: made up for', due: spread([-1, 5]), expected: [-1, 14] },
    {
      title: 'come back after downtime: one now, the others at their distance',
      due: spread([-300, -300, -290]),
      expected: [0, 15, 30],
    },
    {
      title: 'find the hour used up: when there are queries again',
      due: spread([5, 5, 5], { sentAt: [at(-50), at(-40), at(-1), at(0)] }),
      expected: [10, 25, 59],
    },
    {
      title: 'find runs that wait: after those',
      due: spread([5], { sentAt: [at(-50), at(-40), at(-1), at(0)], inLine: 2 }),
      expected: [59],
    },
    {
      title: 'find Mixpanel refusing: afterwards',
      due: spread([5, 5], { heldUntil: at(7) }),
      expected: [7, 22],
    },
    { title: 'cost several queries: as much later', due: spread([5, 5], {}, 2), expected: [5, 35] },
  ])('$title', ({ due, expected }) => {
    expect(due).toEqual(expected);
  });
});

interface Plan {
  nextRunAt: string;
  delay: { reason: string; achievableIntervalMinutes: number } | null;
}

async function readPlans(app: TestApp): Promise<(Plan & { id: string })[]> {
  const { exports } = await app.api.query(
    `{ exports(first: 100, syncType: DYNAMIC) { edges { node {
      id nextRunAt delay { reason achievableIntervalMinutes } } } } }`,
  );
  return exports.edges.map((edge: { node: Plan }) => edge.node).toReversed();
}

/** Dynamic exports of this many cohorts, whose first runs are over. */
async function startExports(app: TestApp, count: number): Promise<void> {
  const cohorts = await addCohorts(
    app,
    Array.from({ length: count }, () => people(1)),
  );
  const runs = [];
  for (const { id } of cohorts) runs.push(await app.startSync(id, 'DYNAMIC'));
  for (const { runId } of runs) expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
}

const gapsOf = (times: (string | number)[]) =>
  times.slice(1).map((time, index) => new Date(time).getTime() - new Date(times[index]!).getTime());

test('more exports than the budget carries are started all the same, are due at even distances, and say why and how often', async () => {
  await using app = await startTestApp({ env: { MIXPANEL_QUERIES_PER_HOUR: '20' } });
  await app.connect();
  await startExports(app, 7);
  const plans = await readPlans(app);
  // Sixteen queries an hour are left beside those for the cohort list: four for each of four.
  const gapMs = HOUR_MS / 16;
  for (const { delay } of plans) {
    expect(delay).toEqual({
      reason: expect.stringContaining('20 queries an hour'),
      achievableIntervalMinutes: expect.closeTo((7 * gapMs) / MINUTE_MS),
    });
  }
  expect(plans[0]!.nextRunAt).toBe('2030-01-01T00:15:00.000Z');
  for (const gap of gapsOf(plans.map((plan) => plan.nextRunAt)))
    expect(Math.abs(gap - gapMs)).toBeLessThan(2);
  // As many as it carries are back on their grids.
  for (const { id } of plans.slice(4)) await act(app, 'pause', id);
  for (const { nextRunAt, delay } of (await readPlans(app)).slice(0, 4)) {
    expect({ nextRunAt, delay }).toEqual({ nextRunAt: '2030-01-01T00:15:00.000Z', delay: null });
  }
});

/** Four queries an hour for the runs, and four exports that would like to run four times an hour. */
const four = { env: { MIXPANEL_QUERIES_PER_HOUR: '8' }, mixpanel: { queriesPerHour: 8 } };

const engaged = (app: TestApp) => app.sandbox.calls.of('mixpanel.engage');

test('each runs when it said that it would, round after round, whatever process sees it', async () => {
  await using app = await startTestApp(four);
  await using _other = await startAnother(app);
  await app.connect();
  await startExports(app, 4);
  // Their first runs used up the hour.
  expect((await readPlans(app)).map((plan) => plan.nextRunAt)).toEqual([
    '2030-01-01T01:00:00.000Z',
    '2030-01-01T01:15:00.000Z',
    '2030-01-01T01:30:00.000Z',
    '2030-01-01T01:45:00.000Z',
  ]);
  const promised: string[] = [];
  for (let run = 5; run <= 10; run++) {
    const next = (await readPlans(app)).toSorted((a, b) => a.nextRunAt.localeCompare(b.nextRunAt))[0]!;
    promised.push(next.nextRunAt);
    app.clock.set(next.nextRunAt);
    await expect.poll(() => engaged(app).length, SOON).toBe(run);
    await untilIdle(app);
  }
  const ran = engaged(app).slice(4);
  expect(ran.map((call) => new Date(call.at).toISOString())).toEqual(promised);
  expect(gapsOf(promised)).toEqual(Array(5).fill(HOUR_MS / 4));
  expect(ran.slice(4).map((call) => call.cohortId)).toEqual(ran.slice(0, 2).map((call) => call.cohortId));
  expect(new Set(ran.map((call) => call.cohortId)).size).toBe(4);
  expect(app.sandbox.calls.all.filter((call) => call.status === 429)).toEqual([]);
});

test('after downtime each catches up once, one after the other', async () => {
  await using app = await startTestApp(four);
  await app.connect();
  await startExports(app, 4);
  app.clock.advance({ hours: 5, minutes: 7 });
  await expect.poll(() => engaged(app).length, SOON).toBe(5);
  await untilIdle(app);
  for (let run = 6; run <= 8; run++) {
    app.clock.advance({ minutes: 15 });
    await expect.poll(() => engaged(app).length, SOON).toBe(run);
    await untilIdle(app);
  }
  const ran = engaged(app).slice(4);
  expect(gapsOf(ran.map((call) => call.at))).toEqual(Array(3).fill(HOUR_MS / 4));
  expect(new Set(ran.map((call) => call.cohortId)).size).toBe(4);
});

test('a run by hand goes before one that takes turns', async () => {
  await using app = await startTestApp({ env: THREE_AN_HOUR });
  const { used, exportId, cohorts } = await useUpTheHour(app, 'DYNAMIC');
  expect(await readPlans(app)).toMatchObject([{ nextRunAt: '2030-01-01T00:35:00.000Z' }]);
  const { runId } = await app.startSync(cohorts[0]!.id);
  await untilParked(app, runId);
  expect(await readPlans(app)).toMatchObject([{ nextRunAt: '2030-01-01T01:20:00.000Z' }]);
  app.clock.set('2030-01-01T01:00:00.000Z');
  expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
  app.clock.set('2030-01-01T01:20:00.000Z');
  expect((await app.untilRuns(exportId, 2)).trigger).toBe('SCHEDULED');
  expect(cohortsRead(app)).toEqual([used.externalId, cohorts[0]!.externalId, used.externalId]);
});

/** No run is queued or going. */
async function untilIdle(app: TestApp): Promise<void> {
  const read = async () => {
    const { exports } = await app.api.query(
      '{ exports(first: 100) { edges { node { lastRun { finishedAt } } } } }',
    );
    return exports.edges.every((edge: { node: { lastRun: { finishedAt: string | null } } }) =>
      Boolean(edge.node.lastRun.finishedAt),
    );
  };
  await expect.poll(read, SOON).toBe(true);
}
