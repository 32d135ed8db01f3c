import { expect, test } from 'vitest';
import type { Refusal } from '../sandbox/iterable/project.ts';
import { checkOutcome } from './support/check-run.ts';
import { readExport } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const refuse = (bucket: Refusal['bucket'], ...identifiers: string[]): Refusal[] =>
  identifiers.map((identifier) => ({ identifier, bucket }));

/** A list of twenty people, ten of whom have left the cohort. */
async function startLeaving(app: TestApp) {
  await app.connect();
  const cohort = await app.addCohort('Leaving', [...people(10, 'stay'), ...people(10, 'old')]);
  const { exportId } = await app.syncToEnd(cohort.id);
  app.mixpanel.setMembers(cohort.externalId, people(10, 'stay'));
  app.sandbox.calls.clear();
  return { cohort, exportId };
}

const removalsOf = (app: TestApp) =>
  app.sandbox.calls
    .of('iterable.unsubscribe')
    .flatMap(({ subscribers }) => subscribers!.map(({ email }) => email));

test('whom Iterable refuses to remove stays, is not counted, is told of, and is left alone until a comparison', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startLeaving(app);
  app.iterable.settings.refusals = [
    ...refuse('invalid', 'old1@example.com'),
    ...refuse('forgotten', 'old2@example.com'),
    ...refuse('invalidData', 'old3@example.com'),
    ...refuse('notFound', 'old4@example.com'),
  ];
  const stays = ['old1@example.com', 'old2@example.com', 'old3@example.com'];
  const told = '3 people stay on the list without being in the cohort, because Iterable refuses the removal.';
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { removed: 7 }, notices: [told] });
  const removed = await app.readLedger(run.id, { outcome: 'REMOVED' });
  expect(removed.map(({ email }) => email).filter((email) => stays.includes(email!))).toEqual([]);
  expect(await readExport(app, exportId)).toMatchObject({ listSize: 13 });

  app.sandbox.calls.clear();
  const next = await app.runToEnd(exportId);
  expect(next).toMatchObject({ status: 'SUCCEEDED', counts: { removed: 0 }, notices: [told] });
  expect(removalsOf(app)).toEqual([]);

  // One of them is taken off by somebody else; the others are as they were.
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.find('old2@example.com')!, false);
  app.iterable.setMember(list, app.iterable.users.find('old4@example.com')!, false);
  app.clock.advance({ hours: 25 });
  const compared = await app.runToEnd(exportId);
  expect(compared).toMatchObject({ status: 'SUCCEEDED', counts: { removed: 0 } });
  expect(compared.notices).toContain(
    '2 people stay on the list without being in the cohort, because Iterable refuses the removal.',
  );
  expect(removalsOf(app)).toEqual([]);
  expect(await readExport(app, exportId)).toMatchObject({ listSize: 12 });

  // Who qualifies again has no mark any more, and is removed like others.
  app.iterable.settings.refusals = [];
  app.mixpanel.setMembers(cohort.externalId, [...people(10, 'stay'), ...people(2, 'old')]);
  expect(await app.runToEnd(exportId)).toMatchObject({ counts: { members: 12, added: 1, unchanged: 11 } });
  app.mixpanel.setMembers(cohort.externalId, people(10, 'stay'));
  const last = await app.runToEnd(exportId);
  expect(last).toMatchObject({ counts: { removed: 2 } });
  expect(app.iterable.membersOf(cohort.listName)).toContain('old3@example.com');
  expect(app.iterable.membersOf(cohort.listName)).not.toContain('old1@example.com');
});

test('a foreigner on the list whom Iterable refuses to remove is named by the run, which claims nothing', async () => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startLeaving(app);
  app.mixpanel.setMembers(cohort.externalId, [...people(10, 'stay'), ...people(10, 'old')]);
  const list = app.iterable.list(cohort.listName)!;
  app.iterable.setMember(list, app.iterable.users.add({ email: 'odd@example' }), true);
  app.iterable.settings.refusals = refuse('invalid', 'odd@example');
  app.clock.advance({ hours: 25 });
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { unchanged: 20, removed: 0 } });
  expect(run.notices).toContain(
    '1 person stays on the list without being in the cohort, because Iterable refuses the removal.',
  );
  await app.runToEnd(exportId);
  app.clock.advance({ hours: 25 });
  await app.runToEnd(exportId);
  expect(removalsOf(app)).toEqual(['odd@example']);
  expect(await readExport(app, exportId)).toMatchObject({ listSize: 21 });
});

test('removals that are refused whole stop the run with a cause, and are tried again', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '5' } });
  const { cohort, exportId } = await startLeaving(app);
  const old = people(10, 'old').map((_, index) => `old${index}@example.com`);
  app.iterable.settings.refusals = refuse('invalid', ...old);
  for (let attempt = 0; attempt < 2; attempt++) {
    const run = await app.runToEnd(exportId);
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { removed: 0 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error!.message).toMatch(/^Iterable refused all 5 removals of a request.*right projectType\.$/);
    await checkOutcome(app, run, cohort.listName);
  }
  app.iterable.settings.refusals = [];
  expect(await app.runToEnd(exportId)).toMatchObject({ status: 'SUCCEEDED', counts: { removed: 10 } });
});

test.each([
  ['are invalid, erased, wrong and at odds', ['invalid', 'forgotten', 'invalidData', 'conflict']],
  ['are not named', []],
] as const)('removals that are refused whole stop the run, where the people %s', async (_what, buckets) => {
  await using app = await startTestApp();
  const { cohort, exportId } = await startLeaving(app);
  const old = people(10, 'old').map((_, index) => `old${index}@example.com`);
  if (buckets.length === 0) app.iterable.settings.unnamedFailures = old;
  else app.iterable.settings.refusals = old.flatMap((one, index) => refuse(buckets[index % 4]!, one));
  const run = await app.runToEnd(exportId);
  expect(run).toMatchObject({ status: 'FAILED', counts: { removed: 0 }, error: { retryable: false } });
  expect(run.error!.message).toMatch(/^Iterable refused all 10 removals/);
  await checkOutcome(app, run, cohort.listName);
});

test('people whom Iterable has erased, and nobody else, stop no run', async () => {
  await using app = await startTestApp();
  const { exportId } = await startLeaving(app);
  app.iterable.settings.refusals = people(10, 'old').flatMap((_, index) =>
    refuse('forgotten', `old${index}@example.com`),
  );
  expect(await app.runToEnd(exportId)).toMatchObject({
    status: 'SUCCEEDED',
    counts: { removed: 0 },
    notices: [
      '10 people stay on the list without being in the cohort, because Iterable refuses the removal.',
    ],
  });
});
