import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { claimSlots } from '../db/queries/mixpanel-slot.ts';
import { startAnother } from './support/another-app.ts';
import { act } from './support/export-operations.ts';
import { cohortsRead, untilParked, untilWaitingInside } from './support/mixpanel-waits.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

const REFRESH = 'mutation { refreshCohorts { id } }';

/** No beat reads the cohort list on its own. */
const quiet = { COHORT_REFRESH_INTERVAL: '24h' };

/** 429 as Mixpanel words it. */
const refusal = (hour: string, headers: Record<string, string> = {}) => ({
  status: 429,
  body: {
    error: `Query rate limit exceeded for project_id: 1. 1/5 queries running concurrently and ${hour} queries running in the last hour.`,
  },
  headers,
});

describe('Mixpanel is believed when it says that the hour is used up', () => {
  test('for as long as it says, by everybody who reads the project', async () => {
    await using app = await startTestApp({ env: quiet });
    await using other = await startAnother(app);
    await app.connect();
    const [first, second] = await addCohorts(app, [people(1), people(1)]);
    const reply = refusal('61/60', { 'retry-after': '600' });
    app.sandbox.faults.add({ operation: 'mixpanel.engage', reply, times: 1 });
    const refused = await app.startSync(first!.id);
    await untilParked(app, refused.runId);
    const next = await app.startSync(second!.id);
    await untilParked(app, next.runId);
    const error = await other.api.fail(REFRESH);
    expect(error.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 600 });
    expect(cohortsRead(app)).toEqual([first!.externalId]);
    app.clock.advance({ minutes: 10 });
    expect((await app.untilOver(refused.runId)).status).toBe('SUCCEEDED');
    expect((await app.untilOver(next.runId)).status).toBe('SUCCEEDED');
    await app.api.query(REFRESH);
  });

  test('for five minutes when it does not say how long, also when it says so of the cohort list', async () => {
    await using app = await startTestApp({ env: quiet });
    await app.connect();
    const [cohort] = await addCohorts(app, [people(1)]);
    app.sandbox.faults.add({ operation: 'mixpanel.cohorts', reply: refusal('60/60'), times: 1 });
    const error = await app.api.fail(REFRESH);
    expect(error.extensions).toMatchObject({ code: 'RATE_LIMITED', retryAfterSeconds: 300 });
    const { runId } = await app.startSync(cohort!.id);
    await untilParked(app, runId);
    app.clock.advance({ minutes: 5 });
    expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
  });

  test('in the middle of a read: it waits there, goes on, and can be cancelled', async () => {
    await using app = await startTestApp({ env: quiet, mixpanel: { defaultPageSize: 1 } });
    await app.connect();
    const [cohort, other] = await addCohorts(app, [people(4), people(4)]);
    const fault = { operation: 'mixpanel.engage', page: 2, reply: refusal('61/60') };
    app.sandbox.faults.add({ ...fault, times: 1 });
    const { runId } = await app.startSync(cohort!.id);
    await untilWaitingInside(app, runId, 1);
    app.clock.advance({ minutes: 5 });
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { members: 4 } });
    const pages = app.sandbox.calls.of('mixpanel.engage').map((call) => call.page);
    expect(pages.sort()).toEqual([0, 1, 2, 2, 3]);

    app.sandbox.faults.add(fault);
    const cancelled = await app.startSync(other!.id);
    await untilWaitingInside(app, cancelled.runId, 1);
    await act(app, 'cancel', cancelled.runId);
    expect((await app.untilOver(cancelled.runId)).status).toBe('CANCELLED');
  });
});

test('where too many queries run at a time, everybody pauses as long as it says, and the read goes on', async () => {
  await using app = await startTestApp({ env: quiet, mixpanel: { defaultPageSize: 1 } });
  await app.connect();
  const [cohort] = await addCohorts(app, [people(100)]);
  // Time goes on by itself, so that the log tells when a request came.
  const [startedAt, since] = [app.clock.now().getTime(), performance.now()];
  const ticking = setInterval(() => {
    app.clock.set(new Date(startedAt + performance.now() - since).toISOString());
  }, 10);
  const reply = refusal('9/60', { 'retry-after': '3' });
  app.sandbox.faults.add({ operation: 'mixpanel.engage', page: 20, reply, times: 1 });
  app.sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: 50 });
  const { runId } = await app.startSync(cohort!.id);
  const findRefused = () => app.sandbox.calls.of('mixpanel.engage').find((call) => call.status === 429);
  await app.sandbox.calls.until(() => findRefused() !== undefined);
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { members: 100 } });
  clearInterval(ticking);
  const pages = app.sandbox.calls.of('mixpanel.engage');
  expect(pages).toHaveLength(101);
  const refusedAt = findRefused()!.at;
  // Without the pause some two hundred would have come.
  expect(pages.filter((call) => call.at > refusedAt && call.at < refusedAt + 2900).length).toBeLessThan(20);
});

test('every process is told that all pause', async () => {
  await using app = await startTestApp({ env: quiet });
  const { db } = app.app.sync;
  const project = { region: app.mixpanel.region, mixpanel_project_id: app.mixpanel.id };
  const claim = { readerId: randomUUID(), busy: 0, lifeMs: 60_000 };
  expect((await claimSlots(db, project, claim)).heldMs).toBe(0);
  await app.app.sync.mixpanelSlots.pause(project, 60_000);
  const { heldMs } = await claimSlots(db, project, claim);
  expect(heldMs).toBeGreaterThan(0);
  expect(heldMs).toBeLessThanOrEqual(60_000);
});
