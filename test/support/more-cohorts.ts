import type { Member, MemberList } from '../../sandbox/mixpanel/project.ts';
import type { TestApp } from './test-app.ts';

/** Cohorts in Mixpanel, and the service's ids of them after one refresh. */
export async function addCohorts(
  app: TestApp,
  membersOfEach: (Member[] | MemberList)[],
): Promise<{ id: string; externalId: string }[]> {
  const added = membersOfEach.map((members, index) => app.mixpanel.addCohort({ name: `C${index}`, members }));
  const { refreshCohorts } = await app.api.query('mutation { refreshCohorts { id externalId } }');
  return added.map((cohort) =>
    refreshCohorts.find((one: { externalId: string }) => one.externalId === String(cohort.id)),
  );
}
