import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const FIELDS = `status attention dataCenter projectType userIdFallback apiKeyHint connectedAt connectedBy
  removalGuard { maxShare minRemovals }`;
const CONNECT = `mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { ${FIELDS} } }`;

const readIntegration = async (app: TestApp) =>
  (await app.api.query(`{ integration(provider: ITERABLE) { ${FIELDS} } }`)).integration;

test('a working key is checked, stored and shown by its last four characters', async () => {
  await using app = await startTestApp();
  const apiKey = app.iterable.addKey();
  const { connectIntegration } = await app.api.query(CONNECT, { input: { apiKey, projectType: 'EMAIL' } });
  expect(connectIntegration).toEqual({
    status: 'CONNECTED',
    attention: null,
    dataCenter: 'US',
    projectType: 'EMAIL',
    userIdFallback: 'NONE',
    apiKeyHint: apiKey.slice(-4),
    connectedAt: '2030-01-01T00:00:00.000Z',
    connectedBy: expect.any(String),
    removalGuard: { maxShare: 0.5, minRemovals: 100 },
  });
  expect(app.sandbox.calls.all.map((call) => call.operation)).toEqual([
    'iterable.listLists',
    'iterable.unsubscribe',
  ]);
  expect(app.sandbox.calls.complaints).toEqual([]);
});

test('the key is nowhere in the database and in no line of the log', async () => {
  await using app = await startTestApp();
  const apiKey = app.iterable.addKey();
  await app.connectIterable({ apiKey });
  await app.connectMixpanel();
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  const { rows } = await client.query(
    `select string_agg(row_to_json(integrations)::text, '') || (select string_agg(row_to_json(m)::text, '')
      from mixpanel_connections m) as text from integrations`,
  );
  await client.end();
  const secrets = [apiKey, ...[...app.mixpanel.accounts.values()].map((account) => account.secret)];
  for (const secret of secrets) {
    expect(rows[0].text).not.toContain(secret);
    expect(rows[0].text).not.toContain(Buffer.from(secret).toString('base64'));
    expect(JSON.stringify(app.logs)).not.toContain(secret);
  }
});

describe('a key is refused, and nothing stored,', () => {
  test('when Iterable does not know it', async () => {
    await using app = await startTestApp();
    const error = await app.api.fail(CONNECT, { input: { apiKey: 'f'.repeat(32), projectType: 'EMAIL' } });
    expect(error.extensions.code).toBe('INVALID_CREDENTIALS');
    expect(await readIntegration(app)).toMatchObject({ status: 'DISCONNECTED', apiKeyHint: null });
  });

  test('when it belongs to the other data center', async () => {
    await using app = await startTestApp({ iterable: { type: 'HYBRID', dataCenter: 'EU' } });
    const error = await app.api.fail(CONNECT, {
      input: { apiKey: app.iterable.addKey(), projectType: 'HYBRID', dataCenter: 'US' },
    });
    expect(error.extensions.code).toBe('INVALID_CREDENTIALS');
    expect(error.message).toContain('data center');
  });

  test('when it may only read', async () => {
    await using app = await startTestApp();
    const error = await app.api.fail(CONNECT, {
      input: { apiKey: app.iterable.addKey({ readOnly: true }), projectType: 'EMAIL' },
    });
    expect(error.extensions.code).toBe('INSUFFICIENT_PERMISSIONS');
    expect((await readIntegration(app)).status).toBe('DISCONNECTED');
  });

  test('when an e-mail project is said to be in the EU data center', async () => {
    await using app = await startTestApp();
    const error = await app.api.fail(CONNECT, {
      input: { apiKey: app.iterable.addKey(), projectType: 'EMAIL', dataCenter: 'EU' },
    });
    expect(error.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      issues: [{ path: ['input', 'projectType'] }],
    });
    expect(app.sandbox.calls.all).toEqual([]);
  });

  test.each([
    { title: 'does not answer', fault: { hang: true } },
    { title: 'is down', fault: { reply: { status: 503 } } },
    { title: 'breaks every connection', fault: { drop: 'before' as const } },
  ])('when Iterable $title, within about ten seconds', async ({ fault }) => {
    await using app = await startTestApp();
    app.sandbox.faults.add({ operation: 'iterable', ...fault });
    const startedAt = performance.now();
    const error = await app.api.fail(CONNECT, {
      input: { apiKey: app.iterable.addKey(), projectType: 'EMAIL' },
    });
    expect(error.extensions.code).toBe('PARTNER_UNAVAILABLE');
    expect(performance.now() - startedAt).toBeLessThan(13_000);
    expect((await readIntegration(app)).status).toBe('DISCONNECTED');
  });
});

test('an EU project is reached at its own host', async () => {
  await using app = await startTestApp({ iterable: { type: 'USER_ID', dataCenter: 'EU' } });
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const cohort = await app.addCohort('European', people(2));
  const run = await app.syncToEnd(cohort.id);
  expect(run.counts.added).toBe(2);
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['p0', 'p1']);
});

test('a connection survives a moment in which Iterable is down', async () => {
  await using app = await startTestApp();
  app.sandbox.faults.add({ operation: 'iterable', reply: { status: 502 }, times: 2 });
  await app.connectIterable();
  expect((await readIntegration(app)).status).toBe('CONNECTED');
});

test('connecting again replaces key and settings, and the exports go on', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const apiKey = app.iterable.addKey();
  for (const key of app.iterable.keys.keys()) if (key !== apiKey) app.iterable.revokeKey(key);
  await app.connectIterable({
    apiKey,
    userIdFallback: 'DISTINCT_ID',
    removalGuard: { maxShare: 0.2, minRemovals: 5 },
  });
  expect(await readIntegration(app)).toMatchObject({
    apiKeyHint: apiKey.slice(-4),
    userIdFallback: 'DISTINCT_ID',
    removalGuard: { maxShare: 0.2, minRemovals: 5 },
  });
  app.mixpanel.setMembers(cohort.externalId, people(3));
  const run = await app.runToEnd(exportId);
  // The userIds that are written from now on count as unchanged.
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: 1, unchanged: 2 } });
  expect(app.iterable.users.find('p0@example.com')?.userId).toBe('p0');
});

test('a refused key leaves a connection that works as it is', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const before = await readIntegration(app);
  await app.api.fail(CONNECT, { input: { apiKey: 'f'.repeat(32), projectType: 'HYBRID' } });
  expect(await readIntegration(app)).toEqual(before);
});

test('disconnecting forgets the key', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  await app.api.query('mutation { disconnectIntegration(input: {}) { id } }');
  expect(await readIntegration(app)).toEqual({
    status: 'DISCONNECTED',
    attention: null,
    dataCenter: null,
    projectType: null,
    userIdFallback: null,
    apiKeyHint: null,
    connectedAt: null,
    connectedBy: null,
    removalGuard: null,
  });
});
