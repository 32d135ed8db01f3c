import { expect, test } from 'vitest';
import { startTestApp } from './support/test-app.ts';

const person = (index: number) => ({
  distinctId: `person-${index}`,
  properties: { $email: `person.${index}@example.com` },
});
const people = (first: number, count: number) => ({
  count,
  member: (index: number) => person(first + index),
});
const emails = (first: number, count: number) =>
  Array.from({ length: count }, (_, index) => `person.${first + index}@example.com`).sort();

test('a cohort of 120,000 people, read five pages at a time, is on the list to the last person, and so is what changed', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Large', people(0, 120_000));
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first).toMatchObject({ status: 'SUCCEEDED', counts: { members: 120_000, added: 120_000 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(emails(0, 120_000));

  app.mixpanel.setMembers(cohort.externalId, people(1_500, 120_000));
  const second = await app.runToEnd(first.exportId);
  expect(second.counts).toMatchObject({ members: 120_000, added: 1_500, unchanged: 118_500, removed: 1_500 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(emails(1_500, 120_000));
  expect(app.sandbox.calls.complaints).toEqual([]);
});

test('a cohort that the source reported as small is exported whole though it has grown a thousandfold', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Grown', people(0, 50));
  app.mixpanel.setMembers(cohort.externalId, people(0, 50_000));
  const run = await app.syncToEnd(cohort.id);
  expect(run.counts).toMatchObject({ members: 50_000, added: 50_000 });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(emails(0, 50_000));
});
