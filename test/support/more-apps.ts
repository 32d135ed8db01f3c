import type { Member, MemberList } from '../../sandbox/mixpanel/project.ts';
import { type App, startApp } from '../../src/app.ts';
import { readEnv } from '../../src/env.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import type { TestApp } from './test-app.ts';

export interface OtherApp extends AsyncDisposable {
  app: App;
  /** With the OWNER token; of a process with a gateway. */
  api: ApiClient;
}

/** The service once more, as a second process on the same database would be, with the same clock. */
export async function startOtherApp(first: TestApp, env: Record<string, string> = {}): Promise<OtherApp> {
  const app = await startApp({
    env: readEnv({ ...first.env, ...env }, false),
    logger: first.app.sync.logger,
    clock: first.clock,
  });
  return {
    app,
    api: createApiClient(app.url ?? '', first.ownerSecret),
    [Symbol.asyncDispose]: () => app.stop(),
  };
}

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
