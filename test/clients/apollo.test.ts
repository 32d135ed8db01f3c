import './apollo-development.ts';
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import UploadHttpLink from 'apollo-upload-client/UploadHttpLink.mjs';
import { createClient } from 'graphql-ws';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import type { AnyData } from '../support/api-client.ts';
import { listenToConsole } from '../support/warnings.ts';
import { createCache } from './apollo-cache.ts';
import {
  COHORTS,
  type Furnished,
  IMPORT,
  MAKE_TOKEN,
  PAUSE,
  PREVIEW,
  PROGRESS,
  startFurnished,
  visitOf,
} from './console.ts';

/** A client as a console would make it, and the bodies that it sends. */
function createApollo({ endpoint, authorization }: Pick<Furnished, 'endpoint' | 'authorization'>) {
  const sent: AnyData[] = [];
  const fetchAndTell: typeof fetch = (input, init) => {
    if (typeof init?.body === 'string') sent.push(JSON.parse(init.body));
    return fetch(input, init);
  };
  const headers = { authorization };
  const webSocket = createClient({
    url: endpoint.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
  const http = new HttpLink({ uri: endpoint, headers, fetch: fetchAndTell });
  const link = ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(webSocket),
    http,
  );
  const client = new ApolloClient({ link, cache: createCache() });
  return {
    client,
    http,
    sent,
    async [Symbol.asyncDispose]() {
      client.stop();
      await webSocket.dispose();
    },
  };
}

const codeOf = (error: unknown) =>
  CombinedGraphQLErrors.is(error) ? error.errors[0]?.extensions?.code : `not GraphQL: ${error}`;

test('Apollo Client makes a visit to the console twice without a word of warning', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  using listener = listenToConsole();
  const { client } = apollo;
  for (const fetchPolicy of ['cache-first', 'network-only'] as const) {
    for (const { text, variables } of visitOf(furnished)) {
      const { data, error } = await client.query({ query: gql(text), variables, fetchPolicy });
      expect(error).toBeUndefined();
      // As somebody is told who has no cache.
      expect(data).toMatchObject(await furnished.app.api.query(text, variables));
    }
  }
  const { cohortId } = furnished;
  const preview = await client.mutate({ mutation: gql(PREVIEW), variables: { input: { cohortId } } });
  expect(preview.data).toMatchObject({ previewSync: { members: 3, toAdd: 0 } });
  const input = { name: 'Console', role: 'ANALYST' };
  expect((await client.mutate({ mutation: gql(MAKE_TOKEN), variables: { input } })).error).toBeUndefined();
  expect(listener.warnings).toEqual([]);
});

test('Apollo Client pages through cohorts, and shows what a mutation changed without asking again', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  const watched = apollo.client.watchQuery<AnyData>({ query: gql(COHORTS), variables: { first: 2 } });
  let shown: AnyData;
  const subscription = watched.subscribe({ next: ({ data }) => (shown = data?.cohorts) });
  const untilShown = (count: number) =>
    expect.poll(() => shown?.edges.length, { timeout: 30_000 }).toBe(count);
  for (const count of [2, 4, 5]) {
    await untilShown(count);
    expect(shown.pageInfo.hasNextPage).toBe(count < 5);
    if (count < 5) await watched.fetchMore({ variables: { after: shown.pageInfo.endCursor } });
  }
  expect(shown.totalCount).toBe(5);
  expect(shown.edges.map((edge: AnyData) => edge.node.name)).toEqual(['A', 'B', 'C', 'D', 'E']);

  expect(shown.edges[0].node.export.status).toBe('ACTIVE');
  const asked = apollo.sent.length;
  await apollo.client.mutate({ mutation: gql(PAUSE), variables: { exportId: furnished.exportId } });
  await expect.poll(() => shown.edges[0].node.export.status).toBe('PAUSED');
  expect(shown.edges[0].node.export.nextRunAt).toBeNull();
  expect(shown.edges).toHaveLength(5);
  expect(apollo.sent).toHaveLength(asked + 1);
  subscription.unsubscribe();
});

test('Apollo Client is told the codes of errors, of 401 and 413 too', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  const pause = { mutation: gql(PAUSE), variables: { exportId: 'none' } };
  expect(await apollo.client.mutate(pause).catch(codeOf)).toBe('NOT_FOUND');
  const query = gql(COHORTS);
  const large = { first: 1, search: 'x'.repeat(1_100_000) };
  const refused = await apollo.client.query({ query, variables: large }).catch((error) => error);
  expect([codeOf(refused), refused.message]).toEqual([
    'BAD_USER_INPUT',
    expect.stringMatching(/1000000 bytes|1 MB/),
  ]);
  await using stranger = createApollo({ ...furnished, authorization: 'Bearer nobody' });
  expect(await stranger.client.query({ query, variables: { first: 1 } }).catch(codeOf)).toBe(
    'UNAUTHENTICATED',
  );
});

test('a mutation of which one field fails leaves Apollo Client what the other one did', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  const { data, error } = await apollo.client.mutate<Record<string, AnyData>>({
    mutation: gql`mutation Both {
      t: createApiToken(input: { name: "Made", role: CONSUMER }) { secret apiToken { id } }
      p: pauseExport(exportId: "none") { id }
    }`,
    errorPolicy: 'all',
  });
  expect(data?.t.secret).toMatch(/^\S{32,}$/);
  expect([data?.p, codeOf(error)]).toEqual([null, 'NOT_FOUND']);
});

test('Apollo Client watches a run over WebSocket, and its cache follows', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  const runId = await furnished.app.runExport(furnished.exportId);
  const statuses: string[] = await new Promise((resolve, reject) => {
    const seen: string[] = [];
    apollo.client.subscribe<AnyData>({ query: gql(PROGRESS), variables: { runId } }).subscribe({
      next: ({ data, error }) => (error ? reject(error) : seen.push(data.syncProgress.status)),
      error: reject,
      complete: () => resolve(seen),
    });
  });
  expect(statuses.at(-1)).toBe('SUCCEEDED');
  const cached = apollo.client.cache.extract() as Record<string, unknown>;
  expect(cached[`SyncRun:${runId}`]).toMatchObject({ status: 'SUCCEEDED' });
});

test('Apollo Client with automatic persisted queries is refused once, and goes on with texts', async () => {
  await using furnished = await startFurnished();
  await using apollo = createApollo(furnished);
  const persisted = new PersistedQueryLink({
    sha256: (text) => createHash('sha256').update(text).digest('hex'),
  });
  const client = new ApolloClient({
    link: persisted.concat(apollo.http),
    cache: createCache(),
  });
  for (const field of ['role', 'tokenName', 'role tokenName']) {
    const query = gql(`{ viewer { ${field} } }`);
    expect((await client.query({ query, fetchPolicy: 'no-cache' })).error).toBeUndefined();
  }
  expect(apollo.sent.map(({ query }) => query !== undefined)).toEqual([false, true, true, true]);
});

test('a file is uploaded by apollo-upload-client, without a header of ours', async () => {
  await using furnished = await startFurnished();
  const { endpoint, authorization } = furnished;
  const client = new ApolloClient({
    link: new UploadHttpLink({ uri: endpoint, headers: { authorization } }),
    cache: createCache(),
  });
  const file = new File(['distinct_id,email\n1,ada@example.com\n'], 'guests.csv', { type: 'text/csv' });
  const { data } = await client.mutate({
    mutation: gql(IMPORT),
    variables: { input: { name: 'Guests', file } },
  });
  expect(data).toMatchObject({ importCohort: { name: 'Guests', memberCount: 1 } });
});
