import { expect, test } from 'vitest';
import { startTestApp } from './support/test-app.ts';
import { makeProject, makeToken, revokeToken } from './support/tokens.ts';

test('a whole session with failures leaves no secret and no person in the log', async () => {
  await using app = await startTestApp({ allowFaults: true, env: { PARTNER_RETRY_BUDGET: '0s' } });
  const CONNECT = 'mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }';
  const CONNECT_MIXPANEL =
    'mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }';
  const readOnlyKey = app.iterable.addKey({ readOnly: true });
  const wrongKey = 'f'.repeat(32);
  const codeOf = async (query: string, variables: object) =>
    (await app.api.fail(query, variables as Record<string, unknown>)).extensions.code;
  expect(await codeOf(CONNECT, { input: { apiKey: wrongKey, projectType: 'EMAIL' } })).toBe(
    'INVALID_CREDENTIALS',
  );
  expect(await codeOf(CONNECT, { input: { apiKey: readOnlyKey, projectType: 'EMAIL' } })).toBe(
    'INSUFFICIENT_PERMISSIONS',
  );
  const account = {
    region: 'US',
    projectId: app.mixpanel.id,
    serviceAccountUsername: 'sync.000000.mp-service-account',
    serviceAccountSecret: 'a-secret-that-mixpanel-does-not-know',
  };
  expect(await codeOf(CONNECT_MIXPANEL, { input: account })).toBe('INVALID_CREDENTIALS');
  await app.connect();

  const token = await makeToken(app, 'ADMIN');
  const project = await makeProject(app, 'Second');
  await token.api.query('{ viewer { role } }');
  await revokeToken(app.api, token.id);
  expect((await token.api.send('{ viewer { role } }')).status).toBe(401);

  const people = ['a', 'b', 'c'].map((id) => ({
    distinctId: id,
    properties: { $email: `person-${id}@example.com` },
  }));
  const cohort = await app.addCohort('Trial', people);
  app.sandbox.faults.add({ operation: 'mixpanel.engage', times: 1, reply: { status: 500, body: people } });
  expect((await app.syncToEnd(cohort.id)).status).toBe('FAILED');
  app.sandbox.faults.add({
    operation: 'iterable.subscribe',
    times: 1,
    reply: { status: 500, body: { msg: 'person-a@example.com' } },
  });
  expect((await app.syncToEnd(cohort.id)).status).toBe('FAILED');
  expect((await app.syncToEnd(cohort.id)).status).toBe('SUCCEEDED');
  const uploaded = await app.api.upload(
    'mutation ($input: ImportCohortInput!) { importCohort(input: $input) { id } }',
    { input: { name: 'Bad file' } },
    { name: 'people.csv', content: 'email\nperson-d@example.com\n"person-e@example.com\n' },
  );
  expect(uploaded.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  for (const key of app.iterable.keys.keys()) app.iterable.revokeKey(key);
  app.mixpanel.setMembers(cohort.externalId, people.slice(1));
  expect((await app.syncToEnd(cohort.id)).error).toMatchObject({ code: 'DESTINATION_UNAUTHORIZED' });
  await app.app.sync.db.schema.alterTable('sync_batches').renameTo('sync_batches_gone').execute();
  const unexpected = await app.api.fail(
    'query ($id: ID!) { cohort(id: $id) { export { lastRun { members(outcome: ADDED) { totalCount } } } } }',
    cohort,
  );
  expect(unexpected.message).toBe('Unexpected error.');

  const text = JSON.stringify(app.logs);
  expect(text).toContain('by a fault of ours');
  const secrets = [
    ...app.iterable.keys.keys(),
    ...[...app.mixpanel.accounts.values()].map(({ secret }) => secret),
    wrongKey,
    account.serviceAccountSecret,
    app.ownerSecret,
    token.secret,
    project.token.secret,
    app.env.ENCRYPTION_KEY!,
    '@example.com',
  ];
  expect(secrets.filter((secret) => text.includes(secret))).toEqual([]);
});
