import { expect, test } from 'vitest';
import type { ApiClient } from './support/api-client.ts';
import { startTestApp } from './support/test-app.ts';
import { closeCodeOf, makeToken, revokeToken } from './support/tokens.ts';

const VIEWER = '{ viewer { role } }';

/** What somebody is told over HTTP. */
async function refusalOf(api: ApiClient, query = VIEWER) {
  const { status, data, errors } = await api.send(query);
  return { status, data, codes: errors?.map((error) => error.extensions.code) };
}

const UNAUTHENTICATED = { status: 401, data: undefined, codes: ['UNAUTHENTICATED'] };
const FORBIDDEN_CLOSE = 4403;

test('a caller without a token learns nothing but that', async () => {
  await using app = await startTestApp();
  expect(await refusalOf(app.as(undefined))).toEqual(UNAUTHENTICATED);
  expect(await refusalOf(app.as(undefined), '{ __schema { types { name } } }')).toEqual(UNAUTHENTICATED);
  expect(await closeCodeOf(app.as(undefined), { authorization: null })).toBe(FORBIDDEN_CLOSE);
});

test('a wrong token is refused', async () => {
  await using app = await startTestApp();
  const api = app.as('cs_somebody-made-this-up-0123456789abcdef');
  expect(await refusalOf(api)).toEqual(UNAUTHENTICATED);
  expect(await closeCodeOf(api)).toBe(FORBIDDEN_CLOSE);
});

test('a secret without the word Bearer is refused', async () => {
  await using app = await startTestApp();
  const { status } = await app.as(undefined).send(VIEWER, {}, { authorization: app.ownerSecret });
  expect(status).toBe(401);
  expect(await closeCodeOf(app.api, { authorization: app.ownerSecret })).toBe(FORBIDDEN_CLOSE);
});

test('a revoked token is refused', async () => {
  await using app = await startTestApp();
  const { id, api } = await makeToken(app, 'ADMIN');
  await revokeToken(app.api, id);
  expect(await refusalOf(api)).toEqual(UNAUTHENTICATED);
  expect(await closeCodeOf(api)).toBe(FORBIDDEN_CLOSE);
});

test('a token works until it expires, and not a moment longer', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  const { api } = await makeToken(app, 'ADMIN', { expiresAt: '2030-01-01T01:00:00.000Z' });
  app.clock.set('2030-01-01T00:59:59.999Z');
  expect((await api.query(VIEWER)).viewer.role).toBe('ADMIN');
  app.clock.set('2030-01-01T01:00:00.000Z');
  expect(await refusalOf(api)).toEqual(UNAUTHENTICATED);
  expect(await closeCodeOf(api)).toBe(FORBIDDEN_CLOSE);
});

test('refusals come in order: who calls, the document, the role, the input, the object', async () => {
  await using app = await startTestApp();
  const consumer = await makeToken(app, 'CONSUMER');
  const broken = 'mutation { createApiToken(input: { name: "", role: OWNER }) { noSuchField } }';
  const badInput = 'mutation { createApiToken(input: { name: "", role: CONSUMER }) { secret } }';
  const unknown = 'mutation { revokeApiToken(id: "bm8gaWQ") { id } }';
  const both = '{ syncRuns(first: -1, exportId: "bm8gaWQ") { totalCount } }';
  const codeOf = async (api: ApiClient, query: string) => (await api.fail(query)).extensions.code;

  expect(await codeOf(app.as(undefined), broken)).toBe('UNAUTHENTICATED');
  expect(await codeOf(consumer.api, broken)).toBe('BAD_USER_INPUT');
  expect((await consumer.api.fail(broken)).message).toContain('noSuchField');
  expect(await codeOf(consumer.api, badInput)).toBe('FORBIDDEN');
  expect(await codeOf(consumer.api, unknown)).toBe('FORBIDDEN');
  expect(await codeOf(app.api, badInput)).toBe('BAD_USER_INPUT');
  expect(await codeOf(app.api, both)).toBe('BAD_USER_INPUT');
  expect(await codeOf(app.api, unknown)).toBe('NOT_FOUND');
});

test('a document that is no GraphQL is BAD_USER_INPUT, over WebSocket too', async () => {
  await using app = await startTestApp();
  expect((await app.api.fail('{ viewer {')).extensions.code).toBe('BAD_USER_INPUT');
  const client = app.api.webSocket();
  const refused = await client
    .iterate({ query: '{ viewer {' })
    .next()
    .then(
      () => undefined,
      (errors: { extensions: { code: string } }[]) => errors.map((error) => error.extensions.code),
    );
  expect(refused).toEqual(['BAD_USER_INPUT']);
  await client.dispose();
});
