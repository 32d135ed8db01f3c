import { expect } from 'vitest';
import { encodeId } from '../../src/schema/global-id.ts';
import { addCohorts } from './more-cohorts.ts';
import { people } from './people.ts';
import type { TestApp } from './test-app.ts';

/** Beats come once a second, on a machine that may be busy. */
export const SOON = { timeout: 60_000 };

/** Cohorts that engage was asked for, in order; a read of several pages several times. */
export const cohortsRead = (app: TestApp) =>
  app.sandbox.calls.of('mixpanel.engage').map((call) => call.cohortId);

/** Resolves when the run has begun to wait for a query, and has given its worker back. */
export async function untilParked(app: TestApp, runId: string): Promise<void> {
  const isParked = (line: Record<string, unknown>) =>
    line.msg === 'run postponed' && encodeId('SyncRun', String(line.runId)) === runId;
  await expect.poll(() => app.logs.some(isParked), SOON).toBe(true);
  expect(await app.readRun(runId)).toMatchObject({ status: 'QUEUED', phase: 'WAITING', progress: 0 });
}

/** Resolves when a run that reads has begun to wait with so many of its pages. */
export async function untilWaitingInside(app: TestApp, runId: string, pages: number): Promise<void> {
  const isWaiting = (line: Record<string, unknown>) =>
    line.msg === 'a read waits in its middle' && encodeId('SyncRun', String(line.runId)) === runId;
  await expect.poll(() => app.logs.filter(isWaiting).length, SOON).toBe(pages);
  await expect.poll(() => app.readRun(runId), SOON).toMatchObject({ status: 'RUNNING', phase: 'WAITING' });
}

export const readBudget = async (app: TestApp) =>
  (await app.api.query('{ mixpanel { queriesUsedLastHour queriesPerHour } }')).mixpanel;

/** No beat reads the cohort list on its own; of the hour, one query is kept for it. */
export const THREE_AN_HOUR = { COHORT_REFRESH_INTERVAL: '24h', MIXPANEL_QUERIES_PER_HOUR: '3' };

/** Every query of the hour is used: three, of connecting, of a refresh at 0:10 and of a run at 0:20. It is 0:30. */
export async function useUpTheHour(app: TestApp, syncType?: 'DYNAMIC') {
  await app.connect();
  app.clock.advance({ minutes: 10 });
  const [used, ...cohorts] = await addCohorts(
    app,
    Array.from({ length: 10 }, () => people(1)),
  );
  app.clock.advance({ minutes: 10 });
  const first = await app.syncToEnd(used!.id, syncType);
  expect(first.status).toBe('SUCCEEDED');
  app.clock.advance({ minutes: 10 });
  expect(await readBudget(app)).toEqual({ queriesUsedLastHour: 3, queriesPerHour: 3 });
  return { used: used!, exportId: first.exportId, cohorts };
}
