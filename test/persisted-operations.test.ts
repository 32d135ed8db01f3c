import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient as createSseClient } from 'graphql-sse';
import type { SubscribePayload } from 'graphql-ws';
import { expect, test } from 'vitest';
import { StartError } from '../src/errors.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const DOCUMENTS = {
  role: 'query Role { viewer { role } }',
  search: 'query Search($search: String) { cohorts(search: $search) { totalCount } }',
  watch: 'subscription Watch { integrationUpdated { status } }',
  pause: 'mutation Pause { pauseExport(exportId: "none") { id } }',
};
const ROLE = { data: { viewer: { role: 'OWNER' } } };

/** As Relay's compiler and the codegen client preset write it. */
const RELAY_MAP = JSON.stringify(DOCUMENTS);
/** As Apollo's generate-persisted-query-manifest writes it. */
const APOLLO_MANIFEST = JSON.stringify({
  format: 'apollo-persisted-query-manifest',
  version: 1,
  operations: Object.entries(DOCUMENTS).map(([id, body]) => ({ id, body, name: id, type: 'query' })),
});

async function writeList(content: string) {
  const directory = await mkdtemp(join(tmpdir(), 'persisted-'));
  const file = join(directory, 'operations.json');
  await writeFile(file, content);
  return { file, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) };
}

const start = (mode: string, file: string) =>
  startTestApp({
    env: { ROLES: 'gateway', PERSISTED_OPERATIONS: mode, PERSISTED_OPERATIONS_FILE: file },
  });

async function post(app: TestApp, body: object) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${app.ownerSecret}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
}

async function get(app: TestApp, parameters: Record<string, string>) {
  const response = await fetch(`${app.url}/graphql?${new URLSearchParams(parameters)}`, {
    headers: { authorization: `Bearer ${app.ownerSecret}` },
  });
  return JSON.parse(await response.text());
}

/** The first answer over WebSocket; its protocol wants a text, so clients with ids send an empty one. */
async function overWebSocket(app: TestApp, payload: Partial<SubscribePayload> & Record<string, unknown>) {
  const client = app.api.webSocket();
  try {
    const { value } = await client.iterate({ query: '', ...payload }).next();
    return value;
  } finally {
    await client.dispose();
  }
}

const hashOf = (sha256Hash: string) => ({ persistedQuery: { version: 1, sha256Hash } });

test.each([
  ["Relay's map", RELAY_MAP],
  ["Apollo's manifest", APOLLO_MANIFEST],
])('operations of %s are executed by their ids, over every transport', async (_name, content) => {
  await using list = await writeList(content);
  await using app = await start('only', list.file);
  const byName = { extensions: { persistedQuery: 'role' } };
  for (const id of [{ documentId: 'role' }, { doc_id: 'role' }, { extensions: hashOf('role') }, byName]) {
    expect((await post(app, id)).body).toEqual(ROLE);
    expect(await overWebSocket(app, id)).toEqual(ROLE);
  }
  expect(await get(app, { documentId: 'role' })).toEqual(ROLE);
  expect(await get(app, { extensions: JSON.stringify(hashOf('role')) })).toEqual(ROLE);
  const search = { documentId: 'search', variables: { search: 'x' } };
  expect((await post(app, search)).body).toEqual({ data: { cohorts: { totalCount: 0 } } });
  const connected = { data: { integrationUpdated: { status: 'DISCONNECTED' } } };
  expect(await overWebSocket(app, { documentId: 'watch' })).toEqual(connected);
  const client = createSseClient({
    url: `${app.url}/graphql`,
    headers: { authorization: `Bearer ${app.ownerSecret}` },
  });
  const { value } = await client.iterate({ query: '', extensions: hashOf('watch') }).next();
  expect(value).toEqual(connected);
  client.dispose();
});

test('with only, a text is refused and an id that is not listed is not found, over every transport', async () => {
  await using list = await writeList(RELAY_MAP);
  await using app = await start('only', list.file);
  const query = DOCUMENTS.role;
  const forbidden = {
    message: 'Only persisted operations are served here: send the id of one.',
    extensions: { code: 'FORBIDDEN' },
  };
  expect(await post(app, { query })).toEqual({ status: 400, body: { errors: [forbidden] } });
  expect((await get(app, { query })).errors).toEqual([forbidden]);
  await expect(overWebSocket(app, { query })).rejects.toEqual([forbidden]);
  const notFound = [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }];
  expect(await post(app, { documentId: 'other' })).toEqual({ status: 400, body: { errors: notFound } });
  // Sending the text beside it does not register it.
  expect((await post(app, { query, extensions: hashOf('other') })).body.errors).toEqual(notFound);
  await expect(overWebSocket(app, { extensions: hashOf('other') })).rejects.toEqual(notFound);
});

test('with allow, texts are executed beside what is listed', async () => {
  await using list = await writeList(APOLLO_MANIFEST);
  await using app = await start('allow', list.file);
  const query = '{ viewer { tokenName } }';
  expect((await post(app, { query })).body.errors).toBeUndefined();
  expect((await post(app, { query, extensions: hashOf('other') })).body.errors).toBeUndefined();
  expect((await post(app, { documentId: 'role' })).body).toEqual(ROLE);
  expect((await overWebSocket(app, { query }))?.errors).toBeUndefined();
  expect((await post(app, { documentId: 'other' })).body.errors[0].extensions.code).toBe(
    'PERSISTED_QUERY_NOT_FOUND',
  );
});

test('a listed mutation is not executed by GET', async () => {
  await using list = await writeList(RELAY_MAP);
  await using app = await start('only', list.file);
  expect((await get(app, { documentId: 'pause' })).errors[0].message).toBe('Send a mutation by POST.');
  expect((await post(app, { documentId: 'pause' })).body.errors[0].extensions.code).toBe('NOT_FOUND');
});

test.each([
  ['is not JSON', 'role: { viewer { role } }'],
  ['is a list', '["{ viewer { role } }"]'],
  ['has a document that is no text', '{"role": 1}'],
  ['is a manifest without texts', '{"format":"apollo-persisted-query-manifest","operations":[{"id":"a"}]}'],
])('a list that %s stops the start, and the variable is named', async (_what, content) => {
  await using list = await writeList(content);
  await expect(start('only', list.file)).rejects.toThrow(
    new StartError(
      `PERSISTED_OPERATIONS_FILE: ${list.file} must hold JSON: an object of ids and documents, or Apollo's manifest.`,
    ),
  );
});

test('a list that is missing stops the start, and is not looked for when it is not used', async () => {
  await expect(start('allow', '/nowhere/operations.json')).rejects.toThrow(
    new StartError('PERSISTED_OPERATIONS_FILE: /nowhere/operations.json cannot be read.'),
  );
  await using app = await start('off', '/nowhere/operations.json');
  expect((await app.api.send('{ viewer { role } }')).errors).toBeUndefined();
});

test('documents that the schema refuses are told by their ids at the start; the others are served', async () => {
  await using list = await writeList(
    JSON.stringify({ ...DOCUMENTS, old: '{ viewer { nothing } }', broken: '{', huge: '{ a '.repeat(5_000) }),
  );
  await using app = await start('only', list.file);
  const told = app.logs.filter(({ msg }) => msg === 'a persisted operation cannot be executed');
  expect(told.map(({ level, operationId, reason }) => [level, operationId, reason])).toEqual([
    [40, 'old', 'Cannot query field "nothing" on type "Viewer".'],
    [40, 'broken', 'Syntax Error: Expected Name, found <EOF>.'],
    [40, 'huge', 'The document has more than 4000 tokens.'],
  ]);
  expect((await post(app, { documentId: 'role' })).body).toEqual(ROLE);
});
