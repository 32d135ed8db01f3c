import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { startTestApp, type TestApp } from './support/test-app.ts';

const gateway = () => startTestApp({ env: { ROLES: 'gateway' } });
const VIEWER = JSON.stringify({ query: '{ viewer { role } }' });

async function post(app: TestApp, headers: Record<string, string>, body: string | Uint8Array = VIEWER) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${app.ownerSecret}`, ...headers },
    body: body as BodyInit,
  });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    headers: response.headers,
    text: await response.text(),
  };
}

test.each([
  'application/json',
  'Application/JSON',
  'application/json ; charset=utf-8',
  'application/json;charset="UTF-8"',
  'application/graphql-response+json',
])('a body of type %s is read', async (type) => {
  await using app = await gateway();
  expect((await post(app, { 'content-type': type })).text).toBe('{"data":{"viewer":{"role":"OWNER"}}}');
});

test.each([
  ['application/x-www-form-urlencoded', 'query=%7B__typename%7D'],
  ['text/plain', VIEWER],
  ['application/json; charset=latin1', VIEWER],
  ['nonsense', VIEWER],
])('a body of type %s is refused with words', async (type, body) => {
  await using app = await gateway();
  const answer = await post(app, { 'content-type': type }, body);
  expect(answer.status).toBe(415);
  expect(JSON.parse(answer.text).errors[0]).toMatchObject({
    message: expect.stringContaining('content-type'),
    extensions: { code: 'BAD_USER_INPUT' },
  });
});

test.each([
  [undefined, 'application/json'],
  ['*/*', 'application/json'],
  ['application/graphql-response+json, application/json;q=0.9', 'application/graphql-response+json'],
  ['application/graphql-response+json;q=0.5, application/json', 'application/json'],
  ['text/html, application/*;q=0.8', 'application/json'],
])('who accepts %s is answered as %s', async (accept, type) => {
  await using app = await gateway();
  const headers = { 'content-type': 'application/json', ...(accept ? { accept } : {}) };
  expect(await post(app, headers)).toMatchObject({ status: 200, type: `${type}; charset=utf-8` });
});

test('who accepts nothing that we have is told what there is', async () => {
  await using app = await gateway();
  const answer = await post(app, { 'content-type': 'application/json', accept: 'image/png' });
  expect(answer.status).toBe(406);
  expect(JSON.parse(answer.text).errors[0].message).toContain('application/graphql-response+json');
});

test('401 and 413 come in the media type that was asked for', async () => {
  await using app = await gateway();
  const accept = 'application/graphql-response+json';
  const type = `${accept}; charset=utf-8`;
  const json = { 'content-type': 'application/json', accept };
  const unknown = await post(app, { ...json, authorization: 'Bearer nobody' });
  expect(unknown).toMatchObject({ status: 401, type });
  expect(unknown.headers.get('www-authenticate')).toMatch(/^Bearer/);
  expect(await post(app, json, `"${'x'.repeat(1_000_000)}"`)).toMatchObject({ status: 413, type });
});

test.each([
  ['application/json', 200, 200],
  ['application/graphql-response+json', 400, 400],
])(
  'under %s a wrong document or operation name is %i, and a wrong variable %i',
  async (accept, document, variable) => {
    await using app = await gateway();
    const headers = { 'content-type': 'application/json', accept };
    const statusOf = async (body: object) => (await post(app, headers, JSON.stringify(body))).status;
    expect(await statusOf({ query: '{' })).toBe(document);
    expect(await statusOf({ query: '{ nothing }' })).toBe(document);
    expect(await statusOf({ query: 'query a { __typename }', operationName: 'b' })).toBe(document);
    const query = 'query ($first: Int) { cohorts(first: $first) { totalCount } }';
    expect(await statusOf({ query, variables: { first: 'x' } })).toBe(variable);
    // Not a GraphQL request at all.
    expect(await statusOf({ variables: {} })).toBe(400);
  },
);

test('a body may be compressed', async () => {
  await using app = await gateway();
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
  expect((await post(app, headers, gzipSync(VIEWER))).text).toContain('OWNER');
  expect((await post(app, headers, VIEWER)).status).toBe(400);
  expect((await post(app, headers, gzipSync(Buffer.alloc(5_000_000, ' ')))).status).toBe(413);
  expect((await post(app, { ...headers, 'content-encoding': 'compress' })).status).toBe(415);
});

test('a client with automatic persisted queries is told that there are none, and goes on with texts', async () => {
  await using app = await gateway();
  const extensions = { persistedQuery: { version: 1, sha256Hash: 'a'.repeat(64) } };
  const answer = await post(app, { 'content-type': 'application/json' }, JSON.stringify({ extensions }));
  expect(JSON.parse(answer.text).errors).toEqual([
    { message: 'PersistedQueryNotSupported', extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED' } },
  ]);
  const whole = JSON.stringify({ query: '{ viewer { role } }', extensions });
  expect((await post(app, { 'content-type': 'application/json' }, whole)).text).toContain('OWNER');
});
