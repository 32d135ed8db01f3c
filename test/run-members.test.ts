import { expect, test } from 'vitest';
import { person } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

test('the people of a run are paged across outcomes, and filtered by outcome and reason', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [person('a'), person('b'), person('c')]);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [
    person('a'),
    person('d'),
    person('e'),
    { distinctId: 'nobody' },
    { distinctId: 'odd', properties: { $email: 'no address' } },
  ]);
  const { id: runId } = await app.runToEnd(exportId);
  const membersOf = async (args: string) => {
    const { syncRun } = await app.api.query(
      `query ($id: ID!) { syncRun(id: $id) { members(${args}) {
        totalCount edges { node { distinctId outcome reason } } pageInfo { hasNextPage endCursor } } } }`,
      { id: runId },
    );
    const { edges, totalCount, pageInfo } = syncRun.members;
    return {
      totalCount,
      pageInfo,
      people: edges.map(({ node }: { node: Record<string, string> }) => `${node.outcome} ${node.distinctId}`),
    };
  };
  const everybody = ['ADDED d', 'ADDED e', 'REMOVED b', 'REMOVED c', 'REJECTED nobody', 'REJECTED odd'];
  const all = await membersOf('first: 100');
  expect(all.people.map((text: string) => text.split(' ')[0])).toEqual(
    everybody.map((text) => text.split(' ')[0]),
  );
  expect([...all.people].sort()).toEqual([...everybody].sort());
  expect(all.totalCount).toBe(6);

  const paged: string[] = [];
  let after = '';
  do {
    const page = await membersOf(`first: 1${after}`);
    paged.push(...page.people);
    after = page.pageInfo.hasNextPage ? `, after: "${page.pageInfo.endCursor}"` : '';
  } while (after !== '');
  expect(paged).toEqual(all.people);

  expect(await membersOf('outcome: REMOVED')).toMatchObject({ totalCount: 2 });
  expect(await membersOf('reason: MISSING_EMAIL')).toMatchObject({
    totalCount: 1,
    people: ['REJECTED nobody'],
  });
  expect(await membersOf('outcome: REJECTED, reason: INVALID_EMAIL')).toMatchObject({
    people: ['REJECTED odd'],
  });
  expect(await membersOf('outcome: ADDED, reason: INVALID_EMAIL')).toMatchObject({
    totalCount: 0,
    people: [],
  });
  expect(await membersOf('outcome: UNCHANGED')).toMatchObject({ totalCount: 0, people: [] });
  expect(await membersOf('outcome: [REMOVED, ADDED]')).toMatchObject({ totalCount: 4 });
  expect(await membersOf('reason: [INVALID_EMAIL, MISSING_EMAIL]')).toMatchObject({ totalCount: 2 });
  expect(await membersOf('outcome: []')).toMatchObject({ totalCount: 0, people: [] });
  expect(await membersOf('reason: []')).toMatchObject({ totalCount: 0, people: [] });
});
