import pg from 'pg';
import { expect, test } from 'vitest';
import { startApp } from '../src/app.ts';
import { readEnv } from '../src/env.ts';
import { createApiClient } from './support/api-client.ts';
import { readAllPages, readPage } from './support/pages.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { closeCodeOf, makeProject, makeToken, revokeToken } from './support/tokens.ts';

const VIEWER = '{ viewer { tokenName role project { name } } }';
const CREATE = `mutation ($input: CreateApiTokenInput!) {
  createApiToken(input: $input) { secret apiToken { id name role createdAt expiresAt lastUsedAt revokedAt } } }`;
const REVOKE = 'mutation ($id: ID!) { revokeApiToken(id: $id) { id revokedAt } }';
const OPEN_STREAM = 'subscription { integrationUpdated { status } }';

async function readTokens(app: TestApp) {
  const { apiTokens } = await app.api.query(
    '{ apiTokens { edges { node { id name role lastUsedAt revokedAt } } } }',
  );
  return apiTokens.edges.map((edge: { node: object }) => edge.node);
}

test('a new token works with the secret that its making shows', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  const { createApiToken } = await app.api.query(CREATE, { input: { name: 'Dashboard', role: 'ANALYST' } });
  expect(createApiToken.apiToken).toMatchObject({
    name: 'Dashboard',
    role: 'ANALYST',
    createdAt: '2030-01-01T00:00:00.000Z',
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
  });
  const { viewer } = await app.as(createApiToken.secret).query(VIEWER);
  expect(viewer).toEqual({ tokenName: 'Dashboard', role: 'ANALYST', project: { name: 'Default project' } });
});

test('a secret is shown once: no query gives it, and the database holds only its hash', async () => {
  await using app = await startTestApp();
  const { secret } = await makeToken(app, 'ADMIN');
  expect(JSON.stringify(await readTokens(app))).not.toContain(secret);
  const rows = await app.app.sync.db.selectFrom('api_tokens').selectAll().execute();
  expect(JSON.stringify(rows)).not.toContain(secret);
  expect(rows.map((row) => row.secret_hash.length)).toEqual([32, 32]);
});

test('nobody makes a token above their own role', async () => {
  await using app = await startTestApp();
  const admin = await makeToken(app, 'ADMIN');
  const refusal = await admin.api.fail(CREATE, { input: { name: 'More', role: 'OWNER' } });
  expect(refusal.extensions.code).toBe('FORBIDDEN');
  for (const role of ['ADMIN', 'ANALYST', 'CONSUMER']) {
    const { createApiToken } = await admin.api.query(CREATE, { input: { name: role, role } });
    expect(createApiToken.apiToken.role).toBe(role);
  }
});

test('an expiry that is not in the future is BAD_USER_INPUT', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  for (const expiresAt of ['2029-12-31T23:59:59.999Z', '2030-01-01T00:00:00.000Z']) {
    const { extensions } = await app.api.fail(CREATE, { input: { name: 'Late', role: 'ADMIN', expiresAt } });
    expect(extensions).toEqual({
      code: 'BAD_USER_INPUT',
      issues: [{ path: ['input', 'expiresAt'], message: 'must be in the future.' }],
    });
  }
});

test("revoking closes the open WebSocket and the event stream of the token, and nobody else's", async () => {
  await using app = await startTestApp();
  const token = await makeToken(app, 'CONSUMER');
  const client = token.api.webSocket();
  const closed = new Promise<number>((resolve) => {
    client.on('closed', (event) => resolve((event as { code: number }).code));
  });
  const socketValues = client.iterate({ query: OPEN_STREAM });
  await socketValues.next();
  const events = token.api.sse(OPEN_STREAM);
  await events.next();
  const others = app.api.sse(OPEN_STREAM);
  await others.next();

  await revokeToken(app.api, token.id);
  expect(await closed).toBe(4403);
  await expect(events.next()).rejects.toThrow('terminated');
  await app.connectIterable();
  expect((await others.next()).value).toEqual({ integrationUpdated: { status: 'CONNECTED' } });
  await others.return(undefined);
  await expect(socketValues.next()).rejects.toMatchObject({ code: 4403 });
});

test('a token that expires closes what it has opened', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  const token = await makeToken(app, 'CONSUMER', { expiresAt: '2030-01-01T00:00:00.300Z' });
  expect(await closeCodeOf(token.api)).toBe(4403);
});

test('revoking in one process closes the sockets that another has open', async () => {
  await using app = await startTestApp();
  const second = await startApp({
    env: readEnv({ ...app.env, ROLES: 'gateway' }, false),
    logger: app.app.sync.logger,
    clock: app.clock,
  });
  try {
    const token = await makeToken(app, 'CONSUMER');
    const client = createApiClient(second.url!, token.secret).webSocket();
    const closed = new Promise<number>((resolve) => {
      client.on('closed', (event) => resolve((event as { code: number }).code));
    });
    const values = client.iterate({ query: OPEN_STREAM });
    await values.next();
    await revokeToken(app.api, token.id);
    expect(await closed).toBe(4403);
    await expect(values.next()).rejects.toMatchObject({ code: 4403 });
  } finally {
    await second.stop();
  }
});

test('a token that is revoked while the service hears of nothing closes its sockets too', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const token = await makeToken(app, 'CONSUMER');
  const client = token.api.webSocket();
  const values = client.iterate({ query: OPEN_STREAM });
  await values.next();
  const database = new pg.Client({ connectionString: app.database.url });
  await database.connect();
  // In one transaction: the revocation is announced after the connection has gone, and before there is another one.
  await database.query(`begin;
    select pg_terminate_backend(pid, 5000) from pg_stat_activity
      where application_name = 'cohort-sync-listener' and datname = current_database();
    update api_tokens set revoked_at = now() where role = 'CONSUMER';
    commit`);
  await database.end();
  await expect(values.next()).rejects.toMatchObject({ code: 4403 });
});

test('the last OWNER token of a project cannot be revoked; one of two can', async () => {
  await using app = await startTestApp();
  await makeToken(app, 'ADMIN');
  const [bootstrap] = (await readTokens(app)).slice(-1);
  expect((await app.api.fail(REVOKE, { id: bootstrap.id })).extensions.code).toBe('INVALID_STATE');
  const second = await makeToken(app, 'OWNER');
  await revokeToken(second.api, bootstrap.id);
  expect((await app.api.send(VIEWER)).status).toBe(401);
  expect((await second.api.fail(REVOKE, { id: second.id })).extensions.code).toBe('INVALID_STATE');
});

test('an OWNER token that has expired does not count as one that is left', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  await makeToken(app, 'OWNER', { expiresAt: '2030-01-02T00:00:00Z' });
  const [bootstrap] = (await readTokens(app)).slice(-1);
  app.clock.advance({ hours: 24 });
  expect((await app.api.fail(REVOKE, { id: bootstrap.id })).extensions.code).toBe('INVALID_STATE');
});

test('nobody revokes above their own role', async () => {
  await using app = await startTestApp();
  const owner = await makeToken(app, 'OWNER');
  const admin = await makeToken(app, 'ADMIN');
  expect((await admin.api.fail(REVOKE, { id: owner.id })).extensions.code).toBe('FORBIDDEN');
  expect((await owner.api.query(VIEWER)).viewer.role).toBe('OWNER');
  await revokeToken(admin.api, admin.id);
  expect((await admin.api.send(VIEWER)).status).toBe(401);
});

test('a token that revokes itself gets its answer, though its sockets are closed before', async () => {
  await using app = await startTestApp();
  const { id, api } = await makeToken(app, 'OWNER');
  const values = api.webSocket().iterate({ query: OPEN_STREAM });
  await values.next();
  const blocker = new pg.Client({ connectionString: app.database.url });
  await blocker.connect();
  await blocker.query('begin; lock table projects in share mode');
  const answer = api.send(
    'mutation ($id: ID!) { revokeApiToken(id: $id) { id } createProject(input: { name: "Next" }) { secret } }',
    { id },
  );
  await expect(values.next()).rejects.toMatchObject({ code: 4403 });
  await blocker.query('commit');
  await blocker.end();
  expect((await answer).data).toMatchObject({ revokeApiToken: { id } });
});

test('a token that is revoked twice stays revoked as of the first time', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  const { id } = await makeToken(app, 'ADMIN');
  await revokeToken(app.api, id);
  app.clock.advance({ hours: 1 });
  const { revokeApiToken } = await app.api.query(REVOKE, { id });
  expect(revokeApiToken.revokedAt).toBe('2030-01-01T00:00:00.000Z');
});

test('lastUsedAt follows the use of a token, to the minute', async () => {
  await using app = await startTestApp({ now: '2030-01-01T00:00:00Z' });
  const token = await makeToken(app, 'ADMIN');
  const lastUsedAt = async () =>
    (await readTokens(app)).find((one: { id: string }) => one.id === token.id).lastUsedAt;
  expect(await lastUsedAt()).toBeNull();
  await token.api.query(VIEWER);
  app.clock.advance({ seconds: 59 });
  await token.api.query(VIEWER);
  expect(await lastUsedAt()).toBe('2030-01-01T00:00:00.000Z');
  app.clock.advance({ seconds: 1 });
  await token.api.query(VIEWER);
  expect(await lastUsedAt()).toBe('2030-01-01T00:01:00.000Z');
});

test('tokens are listed newest first, a page at a time, revoked ones among them', async () => {
  await using app = await startTestApp();
  const tokens = [];
  for (let number = 1; number <= 4; number++)
    tokens.push(await makeToken(app, 'CONSUMER', { name: `${number}` }));
  await revokeToken(app.api, tokens[2]!.id);
  const listed = await readAllPages<{ name: string }>(app.api, 'apiTokens', 'name', 'first: 2');
  expect(listed.map(({ name }) => name)).toEqual(['4', '3', '2', '1', 'Bootstrap token']);
  expect((await readPage(app.api, 'apiTokens', 'id', 'first: 2')).totalCount).toBe(5);
});

test('BOOTSTRAP_TOKEN counts only while the database has no token', async () => {
  await using app = await startTestApp();
  const other = `other-${'x'.repeat(32)}`;
  const again = await startApp({
    env: readEnv({ ...app.env, BOOTSTRAP_TOKEN: other }, false),
    logger: app.app.sync.logger,
    clock: app.clock,
  });
  try {
    expect((await createApiClient(again.url!, other).send(VIEWER)).status).toBe(401);
    expect((await createApiClient(again.url!, app.ownerSecret).send(VIEWER)).status).toBe(200);
    expect(again.firstSecret).toBeUndefined();
  } finally {
    await again.stop();
  }
});

test('only OWNERs of the first project make projects', async () => {
  await using app = await startTestApp();
  const CREATE_PROJECT = 'mutation { createProject(input: { name: "Another" }) { project { name } } }';
  const admin = await makeToken(app, 'ADMIN');
  expect((await admin.api.fail(CREATE_PROJECT)).extensions.code).toBe('FORBIDDEN');
  const second = await makeProject(app, 'Second');
  expect((await second.api.query(VIEWER)).viewer).toMatchObject({
    role: 'OWNER',
    project: { name: 'Second' },
  });
  expect((await second.api.fail(CREATE_PROJECT)).extensions.code).toBe('FORBIDDEN');
});
