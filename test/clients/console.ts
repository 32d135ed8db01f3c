import { expect } from 'vitest';
import { people } from '../support/people.ts';
import { startTestApp, type TestApp } from '../support/test-app.ts';

/** The operations of a console, as texts that every client can send. */

const RUN = `fragment RunParts on SyncRun {
  id status phase progress revision trigger queuedAt startedAt finishedAt notices
  counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent }
  error { code message retryable }
}`;

const EXPORT = `fragment ExportParts on Export {
  id status syncType listName listSize nextRunAt delay { reason achievableIntervalMinutes }
  lastRun { ...RunParts }
}`;

export const OVERVIEW = `query Overview {
  viewer { tokenName role project { id name } }
  mixpanel { id status attention webhook { url username lastReceivedAt } }
  integrations {
    id provider status removalGuard { maxShare minRemovals } webhook { url password lastReceivedAt }
    exports(first: 2) { totalCount edges { node { ...ExportParts } } }
  }
}
${EXPORT}
${RUN}`;

/** Other fields of what OVERVIEW shows. */
export const SETTINGS = `query Settings {
  viewer { role }
  mixpanel { id projectId webhook { password } }
  integration(provider: ITERABLE) { id apiKeyHint removalGuard { minRemovals } webhook { username } }
  apiTokens(first: 5) { totalCount edges { node { id name role lastUsedAt } } pageInfo { hasNextPage endCursor } }
}`;

export const COHORTS = `query Cohorts($first: Int!, $after: String, $search: String) {
  cohorts(first: $first, after: $after, search: $search) {
    totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { id name source memberCount warning export { ...ExportParts } } }
  }
}
${EXPORT}
${RUN}`;

export const RUN_PAGE = `query RunPage($id: ID!, $after: String) {
  syncRun(id: $id) {
    ...RunParts
    rejectedByReason { reason count }
    export { id listName }
    members(first: 2, after: $after) {
      totalCount pageInfo { hasNextPage endCursor } edges { node { id at email outcome reason } }
    }
    pendingRemovals(first: 2) { totalCount edges { node { id email } } }
  }
}
${RUN}`;

export const MEMBER = `query Person($email: String!) {
  member(email: $email) {
    id email distinctIds lists { id listName }
    history(first: 5) { edges { node { id at outcome run { id status } export { id } } } }
  }
}`;

export const USAGE = `query Usage($month: String!) {
  messagingUsage(month: $month) {
    id month countedUsers byEvent { event exempt events users } byCampaign { campaignId users }
    whatIf(event: "emailOpen") { event countedUsers difference }
  }
}`;

export const PREVIEW = `mutation Preview($input: PreviewSyncInput!) {
  previewSync(input: $input) { members toAdd toRemove rejectedByReason { reason count } wouldBeHeld }
}`;

export const PAUSE = `mutation Pause($exportId: ID!) { pauseExport(exportId: $exportId) { id status nextRunAt } }`;

export const MAKE_TOKEN = `mutation MakeToken($input: CreateApiTokenInput!) {
  createApiToken(input: $input) { secret apiToken { id name role } }
}`;

export const IMPORT = `mutation Import($input: ImportCohortInput!) { importCohort(input: $input) { id name memberCount } }`;

export const PROGRESS = `subscription Progress($runId: ID!) { syncProgress(runId: $runId) { ...RunParts } }
${RUN}`;

/** Every query of the console with what it is asked for, in the order of a visit. */
export const visitOf = ({ runId }: { runId: string }) => [
  { text: OVERVIEW, variables: {} },
  { text: SETTINGS, variables: {} },
  { text: COHORTS, variables: { first: 2 } },
  { text: RUN_PAGE, variables: { id: runId } },
  { text: MEMBER, variables: { email: 'p1@example.com' } },
  { text: USAGE, variables: { month: '2030-01' } },
];

export interface Furnished extends AsyncDisposable {
  app: TestApp;
  cohortId: string;
  exportId: string;
  runId: string;
  endpoint: string;
  authorization: string;
}

/** A service with five cohorts, of which the first is exported every fifteen minutes and has had a run. */
export async function startFurnished(env: Record<string, string> = {}): Promise<Furnished> {
  const app = await startTestApp({ now: '2030-01-01T00:00:00Z', env });
  await app.connect();
  for (const name of ['B', 'C', 'D', 'E']) app.mixpanel.addCohort({ name, members: [] });
  const cohort = await app.addCohort('A', people(3));
  const { runId, exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  expect((await app.untilOver(runId)).status).toBe('SUCCEEDED');
  return {
    app,
    cohortId: cohort.id,
    exportId,
    runId,
    endpoint: `${app.url}/graphql`,
    authorization: `Bearer ${app.ownerSecret}`,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}
