import type { GraphqlError } from './api-client.ts';
import type { TestApp } from './test-app.ts';

export interface ExportState {
  syncType: string;
  status: string;
  nextRunAt: string | null;
  listId: string | null;
  listSize: number;
  runs: { totalCount: number };
}

const STATE = 'syncType status nextRunAt listId listSize runs { totalCount }';

const OPERATIONS = {
  pause: `mutation ($id: ID!) { pauseExport(exportId: $id) { ${STATE} } }`,
  resume: `mutation ($id: ID!) { resumeExport(exportId: $id) { ${STATE} } }`,
  run: 'mutation ($id: ID!) { runExport(exportId: $id) { id } }',
  keep: `mutation ($id: ID!) { stopExport(exportId: $id) { ${STATE} } }`,
  empty: `mutation ($id: ID!) { stopExport(exportId: $id, listAction: EMPTY) { ${STATE} } }`,
  delete: `mutation ($id: ID!) { stopExport(exportId: $id, listAction: DELETE) { ${STATE} } }`,
  cancel: 'mutation ($id: ID!) { cancelSyncRun(runId: $id) { status phase } }',
  startDynamic: 'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: DYNAMIC }) { id } }',
  startOnce: 'mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }',
};

type Operation = keyof typeof OPERATIONS;

export async function readExport(app: TestApp, exportId: string): Promise<ExportState> {
  return (await app.api.query(`query ($id: ID!) { export(id: $id) { ${STATE} } }`, { id: exportId })).export;
}

/** The answer of an operation on the export, run or cohort with this id. */
export async function act<Answer = ExportState>(
  app: TestApp,
  operation: Operation,
  id: string,
): Promise<Answer> {
  const [answer] = Object.values(await app.api.query(OPERATIONS[operation], { id }));
  return answer as Answer;
}

/** How it is refused. */
export async function refusal(
  app: TestApp,
  operation: Operation,
  id: string,
): Promise<GraphqlError['extensions']> {
  return (await app.api.fail(OPERATIONS[operation], { id })).extensions;
}
