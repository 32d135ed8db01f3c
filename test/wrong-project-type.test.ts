import { expect, test } from 'vitest';
import { readExport } from './support/export-operations.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

type ProjectType = TestApp['iterable']['type'];

const known = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, index) => ({
    distinctId: `${prefix}${index}`,
    properties: { $email: `${prefix}${index}@example.com`, $iterable_user_id: `u-${prefix}${index}` },
  }));

async function connectAs(app: TestApp, projectType: ProjectType) {
  await app.connectIterable({ projectType });
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
}

test('a project keyed by userId that was connected as EMAIL is found out before anything is written', async () => {
  await using app = await startTestApp({ iterable: { type: 'USER_ID' } });
  await app.connectIterable({ projectType: 'EMAIL' });
  await app.connectMixpanel({ idMerge: 'ORIGINAL' });
  const cohort = await app.addCohort('Wrong', people(10));
  const list = app.iterable.addList(cohort.listName);
  for (let index = 0; index < 20; index++) {
    app.iterable.setMember(list, app.iterable.users.add({ userId: `u${index}` }), true);
  }
  app.sandbox.calls.clear();
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({
    status: 'FAILED',
    counts: { added: 0, removed: 0 },
    error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
  });
  expect(run.error!.message).toMatch(/people without an e-mail address.*\(USER_ID or HYBRID\)\.$/);
  expect(app.sandbox.calls.of('iterable.unsubscribe')).toEqual([]);
  expect(app.sandbox.calls.of('iterable.subscribe')).toEqual([]);
  expect(list.members.size).toBe(20);
});

test.each<[ProjectType, ProjectType, RegExp]>([
  ['EMAIL', 'USER_ID', /^Iterable refused all 4 removals/],
  ['EMAIL', 'HYBRID', /^Iterable knows none of the userIds of 3 additions/],
])(
  'a project of the type %s that was connected as %s loses nobody to its first run',
  async (real, as, cause) => {
    await using app = await startTestApp({ iterable: { type: real } });
    await connectAs(app, as);
    const cohort = await app.addCohort('Wrong', known(3, 'new'));
    const list = app.iterable.addList(cohort.listName);
    for (let index = 0; index < 4; index++) {
      app.iterable.setMember(list, app.iterable.users.add({ email: `old${index}@example.com` }), true);
    }
    const run = await app.syncToEnd(cohort.id);
    expect(run).toMatchObject({
      status: 'FAILED',
      counts: { added: 0, removed: 0, rejected: 0 },
      error: { code: 'DESTINATION_UNAVAILABLE', retryable: false },
    });
    expect(run.error!.message).toMatch(cause);
    expect(list.members.size).toBe(4);

    await connectAs(app, real);
    expect(await app.runToEnd(run.exportId)).toMatchObject({
      status: 'SUCCEEDED',
      counts: { added: 3, removed: 4 },
    });
  },
);

test.each<ProjectType>(['HYBRID', 'USER_ID'])(
  'an e-mail-based project that is connected anew as %s is found out before anybody leaves a list that was right',
  async (as) => {
    await using app = await startTestApp();
    await connectAs(app, 'EMAIL');
    const cohort = await app.addCohort('Right', known(5, 'r'));
    const { exportId } = await app.syncToEnd(cohort.id);
    app.clock.advance({ hours: 1 });
    await app.connectIterable({ projectType: as });
    const run = await app.runToEnd(exportId);
    expect(run).toMatchObject({ status: 'FAILED', counts: { removed: 0 }, error: { retryable: false } });
    expect(run.error!.message).toMatch(/with the right projectType/);
    expect(app.iterable.membersOf(cohort.listName)).toHaveLength(5);
    await app.connectIterable({ projectType: 'EMAIL' });
    expect(await app.runToEnd(exportId)).toMatchObject({ status: 'SUCCEEDED', counts: { unchanged: 5 } });
  },
);

test.each<[ProjectType, ProjectType]>([
  ['HYBRID', 'USER_ID'],
  ['USER_ID', 'HYBRID'],
])(
  'of a %s project that is connected as %s nobody is called removed who is still on the list',
  async (real, as) => {
    await using app = await startTestApp({ iterable: { type: real } });
    await connectAs(app, as);
    const cohort = await app.addCohort('Wrong', known(3, 'new'));
    const list = app.iterable.addList(cohort.listName);
    for (let index = 0; index < 2; index++) {
      app.iterable.setMember(list, app.iterable.users.add({ email: `old${index}@example.com` }), true);
      app.iterable.setMember(list, app.iterable.users.add({ userId: `gone${index}` }), true);
    }
    const { exportId, ...run } = await app.syncToEnd(cohort.id);
    expect(run).toMatchObject({ counts: { added: 3, removed: list.members.size === 5 ? 2 : 4 } });
    expect(await readExport(app, exportId)).toMatchObject({ listSize: list.members.size });
  },
);
