import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { getIntrospectionQuery } from 'graphql';
import { createClient } from 'graphql-ws';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import type { AnyData } from '../support/api-client.ts';
import { listenToConsole } from '../support/warnings.ts';
import {
  COHORTS,
  type Furnished,
  MAKE_TOKEN,
  PAUSE,
  PREVIEW,
  PROGRESS,
  startFurnished,
  visitOf,
} from './console.ts';
import { createCacheExchange } from './graphcache.ts';

type Transport = 'WebSocket' | 'server-sent events';

async function createUrql(
  { app, endpoint, authorization }: Pick<Furnished, 'app' | 'endpoint' | 'authorization'>,
  transport: Transport = 'WebSocket',
) {
  const schema = await app.api.query(getIntrospectionQuery());
  const webSocket = createClient({
    url: endpoint.replace('http', 'ws'),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
  const overWebSocket = subscriptionExchange({
    forwardSubscription: ({ query = '', variables }) => ({
      subscribe: (sink) => ({
        unsubscribe: webSocket.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
      }),
    }),
  });
  const client = new Client({
    url: endpoint,
    fetchOptions: { headers: { authorization } },
    fetchSubscriptions: transport === 'server-sent events',
    exchanges: [
      createCacheExchange(schema),
      ...(transport === 'WebSocket' ? [overWebSocket] : []),
      fetchExchange,
    ],
  });
  return { client, [Symbol.asyncDispose]: async () => await webSocket.dispose() };
}

test('urql with graphcache makes a visit to the console twice without a word of warning', async () => {
  await using furnished = await startFurnished();
  await using urql = await createUrql(furnished);
  using listener = listenToConsole();
  const { client } = urql;
  for (const requestPolicy of ['cache-first', 'network-only'] as const) {
    for (const { text, variables } of visitOf(furnished)) {
      const { data, error } = await client.query(text, variables, { requestPolicy });
      expect(error).toBeUndefined();
      // As somebody is told who has no cache.
      expect(data).toMatchObject(await furnished.app.api.query(text, variables));
    }
  }
  const { cohortId } = furnished;
  expect((await client.mutation(PREVIEW, { input: { cohortId } })).data).toMatchObject({
    previewSync: { members: 3, toAdd: 0 },
  });
  const input = { name: 'Console', role: 'ANALYST' };
  expect((await client.mutation(MAKE_TOKEN, { input })).error).toBeUndefined();
  expect(listener.warnings).toEqual([]);
});

test('urql pages through cohorts, and shows what a mutation changed', async () => {
  await using furnished = await startFurnished();
  await using urql = await createUrql(furnished);
  const { client } = urql;
  const all = async () => {
    let page = await client.query<AnyData>(COHORTS, { first: 2 });
    while (page.data.cohorts.pageInfo.hasNextPage) {
      page = await client.query(COHORTS, { first: 2, after: page.data.cohorts.pageInfo.endCursor });
    }
    return page.data.cohorts;
  };
  const before = await all();
  expect(before.edges.map((edge: AnyData) => edge.node.name)).toEqual(['A', 'B', 'C', 'D', 'E']);
  expect(before.edges[0].node.export.status).toBe('ACTIVE');
  await client.mutation(PAUSE, { exportId: furnished.exportId });
  const { data } = await client.query<AnyData>(COHORTS, { first: 2 }, { requestPolicy: 'cache-only' });
  expect(data.cohorts.edges[0].node.export).toMatchObject({ status: 'PAUSED', nextRunAt: null });
});

test('urql is told the codes of errors, of 401 too', async () => {
  await using furnished = await startFurnished();
  await using urql = await createUrql(furnished);
  const failed = await urql.client.mutation(PAUSE, { exportId: 'none' });
  expect(failed.error?.graphQLErrors[0]?.extensions.code).toBe('NOT_FOUND');
  await using stranger = await createUrql({ ...furnished, authorization: 'Bearer nobody' });
  const refused = await stranger.client.query(COHORTS, { first: 1 });
  expect([refused.error?.response.status, refused.error?.graphQLErrors[0]?.extensions.code]).toEqual([
    401,
    'UNAUTHENTICATED',
  ]);
});

test.each<Transport>(['WebSocket', 'server-sent events'])(
  'urql watches a run over %s to its end',
  async (transport) => {
    await using furnished = await startFurnished();
    await using urql = await createUrql(furnished, transport);
    const runId = await furnished.app.runExport(furnished.exportId);
    const last: string = await new Promise((resolve, reject) => {
      const { unsubscribe } = urql.client
        .subscription<AnyData>(PROGRESS, { runId })
        .subscribe(({ data, error }) => {
          if (error) return reject(error);
          if (data.syncProgress.phase !== 'DONE') return;
          resolve(data.syncProgress.status);
          setImmediate(() => unsubscribe());
        });
    });
    expect(last).toBe('SUCCEEDED');
  },
);
