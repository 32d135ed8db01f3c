import { type Client, createClient } from 'graphql-sse';
import { expect, test } from 'vitest';
import type { AnyData } from '../support/api-client.ts';
import { makeToken, revokeToken } from '../support/tokens.ts';
import { COHORTS, type Furnished, OVERVIEW, PAUSE, PROGRESS, startFurnished } from './console.ts';

function createSse({ endpoint, authorization }: Furnished, options: { onConnected?: () => void } = {}) {
  const client: Client = createClient({
    url: endpoint,
    headers: { authorization },
    retryAttempts: 3,
    retry: async () => undefined,
    on: { ...(options.onConnected ? { connected: options.onConnected } : {}) },
  });
  return { client, [Symbol.dispose]: () => client.dispose() };
}

const firstOf = async (client: Client, query: string, variables: Record<string, unknown> = {}) =>
  (await client.iterate<AnyData>({ query, variables }).next()).value;

test('graphql-sse asks a query and is told the code of an error', async () => {
  await using furnished = await startFurnished();
  using sse = createSse(furnished);
  expect((await firstOf(sse.client, OVERVIEW)).data.viewer.role).toBe('OWNER');
  expect((await firstOf(sse.client, COHORTS, { first: 1 })).data.cohorts.totalCount).toBe(5);
  const failed = await firstOf(sse.client, PAUSE, { exportId: 'none' });
  expect(failed.errors[0].extensions.code).toBe('NOT_FOUND');
});

test('graphql-sse watches a run to its end', async () => {
  await using furnished = await startFurnished();
  using sse = createSse(furnished);
  const runId = await furnished.app.runExport(furnished.exportId);
  const statuses: string[] = [];
  for await (const { data } of sse.client.iterate<AnyData>({ query: PROGRESS, variables: { runId } })) {
    statuses.push(data.syncProgress.status);
  }
  expect(statuses.at(-1)).toBe('SUCCEEDED');
});

test('graphql-sse is refused for good without a valid token', async () => {
  await using furnished = await startFurnished();
  using sse = createSse({ ...furnished, authorization: 'Bearer nobody' });
  await expect(firstOf(sse.client, OVERVIEW)).rejects.toMatchObject({ response: { status: 401 } });
});

test('graphql-sse connects again after its stream was broken off, unless its token was revoked', async () => {
  await using furnished = await startFurnished();
  const token = await makeToken(furnished.app, 'CONSUMER');
  let connected = 0;
  using sse = createSse(
    { ...furnished, authorization: `Bearer ${token.secret}` },
    { onConnected: () => void connected++ },
  );
  const values = sse.client.iterate<AnyData>({ query: 'subscription { integrationUpdated { status } }' });
  expect((await values.next()).value.data.integrationUpdated.status).toBe('CONNECTED');
  await revokeToken(furnished.app.api, token.id);
  // It tries again by itself, and learns why.
  await expect(values.next()).rejects.toMatchObject({ response: { status: 401 } });
  expect(connected).toBe(1);
});
