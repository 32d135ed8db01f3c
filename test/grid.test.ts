import { expect, test } from 'vitest';
import { nextDueAt } from '../src/sync/grid.ts';
import { readExport } from './support/export-operations.ts';
import { people, person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

const MINUTE = 60_000;

test.each([
  { title: 'at the start', now: '10:07', due: '10:22' },
  { title: 'between two points', now: '10:30', due: '10:37' },
  { title: 'on a point', now: '10:37', due: '10:52' },
  { title: 'after a long time', now: '18:00', due: '18:07' },
  { title: 'before the start, by another clock', now: '10:00', due: '10:22' },
  { title: 'long before the start, which a wrong clock has dated', now: '09:30', due: '09:37' },
  { title: 'long before the start, on a point', now: '09:22', due: '09:37' },
])('the next point of the grid lies after now: $title', ({ now, due }) => {
  const at = (time: string) => new Date(`2030-01-01T${time}:00.000Z`);
  expect(nextDueAt(at('10:07'), at(now), 15 * MINUTE)).toEqual(at(due));
});

test('a run by hand does not move the grid', async () => {
  await using app = await startTestApp({ now: '2030-01-01T10:07:00.000Z' });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect((await readExport(app, exportId)).nextRunAt).toBe('2030-01-01T10:22:00.000Z');
  app.clock.advance({ minutes: 5 });
  await app.runToEnd(exportId);
  expect((await readExport(app, exportId)).nextRunAt).toBe('2030-01-01T10:22:00.000Z');
});

test('after long downtime one run catches up, and the grid goes on', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.clock.advance({ hours: 5, minutes: 7 });
  expect(await app.untilRuns(exportId, 2)).toMatchObject({ trigger: 'SCHEDULED', status: 'SUCCEEDED' });
  expect(await readExport(app, exportId)).toMatchObject({
    nextRunAt: '2030-01-01T05:15:00.000Z',
    runs: { totalCount: 2 },
  });
});

test('another interval is another grid', async () => {
  await using app = await startTestApp({ env: { DYNAMIC_SYNC_INTERVAL: '90s' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.clock.advance({ seconds: 90 });
  await app.untilRuns(exportId, 2);
  expect((await readExport(app, exportId)).nextRunAt).toBe('2030-01-01T00:03:00.000Z');
});

test('a run that is still going at the next beat is not joined by a second one', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 3000, times: 1 });
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  app.clock.advance({ minutes: 15 });
  await expect
    .poll(() => readExport(app, exportId))
    .toMatchObject({ nextRunAt: '2030-01-01T00:30:00.000Z', runs: { totalCount: 1 } });
  expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
});

test('a cohort from a file has no grid; importing it again runs its dynamic export at once', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const upload = (content: string) =>
    app.api.upload(
      'mutation ($input: ImportCohortInput!) { importCohort(input: $input) { id } }',
      { input: { name: 'Guests' } },
      { name: 'guests.csv', content },
    );
  const { data } = await upload('email\na@example.com\n');
  const first = await app.syncToEnd(data.importCohort.id, 'DYNAMIC');
  expect((await readExport(app, first.exportId)).nextRunAt).toBeNull();
  await upload('email\nb@example.com\n');
  const second = await app.untilRuns(first.exportId, 2);
  expect(second).toMatchObject({ trigger: 'PUSH', counts: { added: 1, removed: 1 } });
});

test('what changes during a run is followed up by another run right after it', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const upload = (content: string) =>
    app.api.upload(
      'mutation ($input: ImportCohortInput!) { importCohort(input: $input) { id } }',
      { input: { name: 'Guests' } },
      { name: 'guests.csv', content },
    );
  const { data } = await upload('email\na@example.com\n');
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 1500, times: 1 });
  const { exportId } = await app.startSync(data.importCohort.id, 'DYNAMIC');
  await app.sandbox.calls.until((calls) => calls.some((call) => call.operation === 'iterable.createList'));
  await upload('email\na@example.com\nb@example.com\n');
  await upload('email\nb@example.com\nc@example.com\n');
  const second = await app.untilRuns(exportId, 2);
  expect(second).toMatchObject({ trigger: 'PUSH', counts: { members: 2, added: 2, removed: 1 } });
  expect((await readExport(app, exportId)).runs.totalCount).toBe(2);
});

test('each export has its own grid', async () => {
  await using app = await startTestApp();
  await app.connect();
  const early = await app.addCohort('Early', people(1));
  const late = await app.addCohort('Late', [person('late')]);
  const first = await app.syncToEnd(early.id, 'DYNAMIC');
  app.clock.advance({ minutes: 4 });
  const second = await app.syncToEnd(late.id, 'DYNAMIC');
  expect((await readExport(app, first.exportId)).nextRunAt).toBe('2030-01-01T00:15:00.000Z');
  expect((await readExport(app, second.exportId)).nextRunAt).toBe('2030-01-01T00:19:00.000Z');
});
