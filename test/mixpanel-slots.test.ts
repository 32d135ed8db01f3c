import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { claimSlots, releaseSlots, shareSlots } from '../db/queries/mixpanel-slot.ts';
import { startAnother } from './support/another-app.ts';
import { act } from './support/export-operations.ts';
import { SOON } from './support/mixpanel-waits.ts';
import { addCohorts } from './support/more-cohorts.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Cohorts of so many people, one on each page. */
const paged = { mixpanel: { defaultPageSize: 1 }, env: { COHORT_REFRESH_INTERVAL: '24h' } };

const pagesOf = (app: TestApp, externalId: string) =>
  app.sandbox.calls.of('mixpanel.engage').filter((call) => call.cohortId === externalId);

/** The connected Mixpanel project as its slots are kept by. */
const projectOf = ({ mixpanel }: TestApp) => ({ region: mixpanel.region, mixpanel_project_id: mixpanel.id });

/** Slots of so many processes; in one round of turns, or summed up over several. */
const sharesOf = (readers: number, rounds = [0]) =>
  Array.from({ length: readers }, (_, place) =>
    rounds.reduce((sum, round) => sum + shareSlots(place, readers, round), 0),
  );

test('processes that read share the five queries evenly; more than five take turns', () => {
  expect(sharesOf(1)).toEqual([5]);
  expect(sharesOf(2)).toEqual([3, 2]);
  expect(sharesOf(3)).toEqual([2, 2, 1]);
  expect(sharesOf(5)).toEqual([1, 1, 1, 1, 1]);
  for (const readers of [6, 7, 10, 13]) {
    const rounds = Array.from({ length: readers }, (_, round) => 175_000_000 + round);
    for (const round of rounds) {
      expect(sharesOf(readers, [round]).toSorted((a, b) => b - a)).toEqual([
        ...Array(5).fill(1),
        ...Array(readers - 5).fill(0),
      ]);
    }
    expect(sharesOf(readers, rounds)).toEqual(Array(readers).fill(5));
  }
});

test('however many processes claim slots at once, they get no more than five', async () => {
  await using app = await startTestApp(paged);
  const { db } = app.app.sync;
  const project = projectOf(app);
  const readers = Array.from({ length: 8 }, () => ({ readerId: randomUUID(), slots: 0 }));
  const claimAll = () =>
    Promise.all(
      readers.map(async (reader) => {
        const claim = { readerId: reader.readerId, busy: Math.min(reader.slots, 1), lifeMs: 60_000 };
        reader.slots = (await claimSlots(db, project, claim)).slots;
      }),
    );
  const countSlots = () => readers.reduce((sum, reader) => sum + reader.slots, 0);
  await claimAll();
  expect(countSlots()).toBe(5);
  // Whoever asks before another one has come down has nothing yet.
  await claimAll();
  expect(countSlots()).toBeLessThanOrEqual(5);
  // Whoever is alone in the end has them all.
  for (const { readerId } of readers.splice(1)) await releaseSlots(db, project, readerId);
  await claimAll();
  expect(countSlots()).toBe(5);
});

test('more reads than queries at a time, in two processes, all go on, and no more than five run', async () => {
  await using app = await startTestApp(paged);
  await using _other = await startAnother(app, { env: { ROLES: 'worker' } });
  await app.connect();
  // A process executes forty runs of one project at a time: as long as nobody is answered, the other one has the rest.
  const cohorts = await addCohorts(
    app,
    Array.from({ length: 42 }, (_, index) => people(4, `c${index}-`)),
  );
  const answering = Promise.withResolvers<void>();
  app.sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: 50, hold: () => answering.promise });
  const runs = await Promise.all(cohorts.map((cohort) => app.startSync(cohort.id)));
  const countReaders = async () =>
    (await app.app.sync.db.selectFrom('mixpanel_readers').select('reader_id').execute()).length;
  await expect.poll(countReaders, SOON).toBe(2);
  answering.resolve();
  for (const { runId } of runs) {
    expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { members: 4 } });
  }
  expect(app.mixpanel.mostRunning).toBe(5);
  expect(app.sandbox.calls.of('mixpanel.engage').filter((call) => call.status !== 200)).toEqual([]);
});

test('a small cohort and the cohort list are read while a large read goes on', async () => {
  await using app = await startTestApp(paged);
  await app.connect();
  const [large, small] = await addCohorts(app, [people(400), people(10, 's')]);
  app.sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: 100 });
  const { runId } = await app.startSync(large!.id);
  await app.sandbox.calls.until(() => pagesOf(app, large!.externalId).length > 10);
  await app.api.query('mutation { refreshCohorts { id } }');
  expect((await app.syncToEnd(small!.id)).status).toBe('SUCCEEDED');
  expect(await app.readRun(runId)).toMatchObject({ status: 'RUNNING', phase: 'READING' });
  expect(app.mixpanel.mostRunning).toBe(5);
  await act(app, 'cancel', runId);
  await app.untilOver(runId);
});

test('slots of a process that is silent are free after a while', async () => {
  await using app = await startTestApp(paged);
  await app.connect();
  const [cohort] = await addCohorts(app, [people(30)]);
  const { db } = app.app.sync;
  const project = projectOf(app);
  const readReaders = () => db.selectFrom('mixpanel_readers').select(['slots']).orderBy('slots').execute();
  // What the reading of the cohort list had is given back.
  await expect.poll(readReaders, SOON).toEqual([]);
  await claimSlots(db, project, { readerId: randomUUID(), busy: 5, lifeMs: 60_000 });
  const { runId } = await app.startSync(cohort!.id);
  await expect.poll(readReaders, SOON).toEqual([{ slots: 0 }, { slots: 5 }]);
  expect(pagesOf(app, cohort!.externalId)).toEqual([]);
  await db.updateTable('mixpanel_readers').set({ expires_at: new Date() }).where('slots', '=', 5).execute();
  expect(await app.untilOver(runId)).toMatchObject({ status: 'SUCCEEDED', counts: { members: 30 } });
});

test('hundreds of pages cost no statement each', async () => {
  let statements = 0;
  await using app = await startTestApp({
    ...paged,
    onStatement: (text) => {
      if (/mixpanel_(readers|queries|budgets)/.test(text)) statements++;
    },
  });
  await app.connect();
  const [cohort] = await addCohorts(app, [people(400)]);
  statements = 0;
  expect((await app.syncToEnd(cohort!.id)).counts.members).toBe(400);
  expect(pagesOf(app, cohort!.externalId)).toHaveLength(400);
  // A few at the beginning and at the end, a few a second in between.
  expect(statements).toBeLessThan(200);
});
