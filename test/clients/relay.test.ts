import { createClient } from 'graphql-ws';
import {
  commitMutation,
  createOperationDescriptor,
  Environment,
  type FetchFunction,
  fetchQuery,
  getPaginationMetadata,
  getPaginationVariables,
  getRefetchMetadata,
  getSingularSelector,
  Network,
  Observable,
  RecordSource,
  requestSubscription,
  type SingularReaderSelector,
  Store,
  type Variables,
} from 'relay-runtime';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import type { AnyData } from '../support/api-client.ts';
import { startTestApp } from '../support/test-app.ts';
import { type Furnished, startFurnished } from './console.ts';
import { type Compiled, compileRelay } from './relay-compile.ts';

const DOCUMENTS = [
  `query ConsoleQuery($first: Int!, $after: String) {
    viewer { role project { id name } }
    integrations { id status webhook { url } removalGuard { maxShare } }
    ...Console_cohorts
  }`,
  `fragment Console_cohorts on Query @refetchable(queryName: "ConsolePaginationQuery") {
    cohorts(first: $first, after: $after) @connection(key: "Console_cohorts") {
      totalCount
      edges { node { id name export { id status lastRun { id ...Console_run } } } }
    }
  }`,
  `fragment Console_run on SyncRun @refetchable(queryName: "ConsoleRunRefetchQuery") {
    status phase counts { members added } rejectedByReason { reason count }
  }`,
  `mutation ConsolePauseMutation($exportId: ID!) { pauseExport(exportId: $exportId) { id status } }`,
  `subscription ConsoleProgressSubscription($runId: ID!) { syncProgress(runId: $runId) { id ...Console_run } }`,
];

type Connection = Pick<Furnished, 'endpoint' | 'authorization'>;

function createRelay({ endpoint, authorization }: Connection) {
  const ask: FetchFunction = async ({ text, id }, variables) => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization },
      body: JSON.stringify(text === null ? { doc_id: id, variables } : { query: text, variables }),
    });
    return JSON.parse(await response.text());
  };
  const webSocket = createClient({
    url: endpoint.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
  const network = Network.create(ask, ({ text }, variables) =>
    Observable.create((sink) => webSocket.subscribe({ query: text!, variables }, sink as never)),
  );
  const environment = new Environment({ network, store: new Store(new RecordSource()) });
  return { environment, [Symbol.asyncDispose]: async () => await webSocket.dispose() };
}

/** The first page of cohorts, as usePaginationFragment asks for it and for the next ones. */
async function openCohorts(environment: Environment, compiled: Compiled) {
  const variables = { first: 2 };
  const operation = createOperationDescriptor(compiled.artifact('ConsoleQuery'), variables);
  environment.retain(operation);
  await fetchQuery(environment, compiled.artifact('ConsoleQuery'), variables).toPromise();
  const fragment = compiled.artifact('Console_cohorts');
  const root = environment.lookup(operation.fragment).data as AnyData;
  const selector = getSingularSelector(fragment, root) as SingularReaderSelector;
  const { paginationRequest, paginationMetadata } = getPaginationMetadata(fragment, 'a test');
  const cohorts = () => (environment.lookup(selector).data as AnyData).cohorts;
  return {
    root,
    cohorts,
    async loadNext() {
      const { endCursor } = cohorts().pageInfo;
      const next = getPaginationVariables('forward', 2, endCursor, variables, {}, paginationMetadata);
      await fetchQuery(environment, paginationRequest, next as Variables).toPromise();
    },
  };
}

test('Relay compiles the console, asks it, and pages through a connection to its end', async () => {
  await using furnished = await startFurnished();
  await using compiled = await compileRelay(DOCUMENTS);
  await using relay = createRelay(furnished);
  const page = await openCohorts(relay.environment, compiled);
  expect(page.root).toMatchObject({ viewer: { role: 'OWNER' }, integrations: [{ status: 'CONNECTED' }] });
  while (page.cohorts().pageInfo.hasNextPage) await page.loadNext();
  expect(page.cohorts().totalCount).toBe(5);
  expect(page.cohorts().edges.map((edge: AnyData) => edge.node.name)).toEqual(['A', 'B', 'C', 'D', 'E']);
});

test("Relay's store follows a mutation, and a mutation that fails tells its code", async () => {
  await using furnished = await startFurnished();
  await using compiled = await compileRelay(DOCUMENTS);
  await using relay = createRelay(furnished);
  const page = await openCohorts(relay.environment, compiled);
  const pause = (exportId: string) =>
    new Promise<AnyData>((resolve, reject) =>
      commitMutation(relay.environment, {
        mutation: compiled.artifact('ConsolePauseMutation'),
        variables: { exportId },
        onCompleted: (data, errors) => resolve({ data, errors }),
        onError: reject,
      }),
    );
  await pause(furnished.exportId);
  expect(page.cohorts().edges[0].node.export.status).toBe('PAUSED');
  const failed = await pause('none');
  expect(failed.data).toEqual({ pauseExport: null });
  expect(failed.errors[0].extensions.code).toBe('NOT_FOUND');
});

test('Relay refetches a run by node, and watches another one', async () => {
  await using furnished = await startFurnished();
  await using compiled = await compileRelay(DOCUMENTS);
  await using relay = createRelay(furnished);
  const { environment } = relay;
  const { refetchableRequest } = getRefetchMetadata(compiled.artifact('Console_run'), 'a test');
  const read = async (id: string) => {
    const data: AnyData = await fetchQuery(environment, refetchableRequest, { id }).toPromise();
    const selector = getSingularSelector(compiled.artifact('Console_run'), data.node);
    return environment.lookup(selector as SingularReaderSelector).data;
  };
  expect(await read(furnished.runId)).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 3, added: 3 },
  });

  const runId = await furnished.app.runExport(furnished.exportId);
  await new Promise<void>((resolve, reject) => {
    requestSubscription(environment, {
      subscription: compiled.artifact('ConsoleProgressSubscription'),
      variables: { runId },
      onCompleted: () => resolve(),
      onError: reject,
    });
  });
  const record = environment.getStore().getSource().get(runId);
  expect(record).toMatchObject({ status: 'SUCCEEDED', phase: 'DONE' });
});

test("what Relay's compiler persists is served, and nothing else", async () => {
  await using compiled = await compileRelay(DOCUMENTS, { persist: true });
  await using app = await startTestApp({
    env: {
      ROLES: 'gateway',
      PERSISTED_OPERATIONS: 'only',
      PERSISTED_OPERATIONS_FILE: compiled.persistedFile,
    },
  });
  await using relay = createRelay({
    endpoint: `${app.url}/graphql`,
    authorization: `Bearer ${app.ownerSecret}`,
  });
  const page = await openCohorts(relay.environment, compiled);
  expect([page.root.viewer.role, page.cohorts().totalCount]).toEqual(['OWNER', 0]);
  expect((await app.api.fail('{ viewer { role } }')).extensions.code).toBe('FORBIDDEN');
});
