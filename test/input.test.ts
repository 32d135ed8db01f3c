import { expect, test } from 'vitest';
import { startTestApp } from './support/test-app.ts';

const NAME = 'must have 1 to 200 characters, not only blanks.';
const LONG_NAME = 'must have at most 200 characters.';
const CREDENTIAL = 'must have 1 to 500 printable characters without blanks.';

const MUTATIONS = {
  createApiToken: 'mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret } }',
  createProject: 'mutation ($input: CreateProjectInput!) { createProject(input: $input) { secret } }',
  connectIntegration:
    'mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }',
  connectMixpanel: 'mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }',
};
const mixpanel = {
  region: 'US',
  projectId: '1',
  serviceAccountUsername: 'sync',
  serviceAccountSecret: 'secret',
};
const iterable = { apiKey: 'key', projectType: 'EMAIL' };
const guard = { maxShare: 0.5, minRemovals: 1 };

/** What is given, and what is said of each part that will not do. */
const cases: [keyof typeof MUTATIONS, Record<string, unknown>, Record<string, string>][] = [
  ['createApiToken', { name: '', role: 'ADMIN' }, { 'input.name': NAME }],
  ['createApiToken', { name: ' \t ', role: 'ADMIN' }, { 'input.name': NAME }],
  ['createApiToken', { name: 'a\0b', role: 'ADMIN' }, { 'input.name': NAME }],
  ['createApiToken', { name: 'x'.repeat(201), role: 'ADMIN' }, { 'input.name': LONG_NAME }],
  ['createProject', { name: '' }, { 'input.name': NAME }],
  ['createProject', { name: 'x'.repeat(201) }, { 'input.name': LONG_NAME }],
  ['connectIntegration', { ...iterable, apiKey: '' }, { 'input.apiKey': CREDENTIAL }],
  ['connectIntegration', { ...iterable, apiKey: 'two words' }, { 'input.apiKey': CREDENTIAL }],
  ['connectIntegration', { ...iterable, apiKey: 'line\r\nbreak: x' }, { 'input.apiKey': CREDENTIAL }],
  ['connectIntegration', { ...iterable, apiKey: 'x'.repeat(501) }, { 'input.apiKey': CREDENTIAL }],
  [
    'connectIntegration',
    { ...iterable, removalGuard: { maxShare: 1.01, minRemovals: -1 } },
    {
      'input.removalGuard.maxShare': 'must be from 0 to 1.',
      'input.removalGuard.minRemovals': 'must be 0 or more.',
    },
  ],
  [
    'connectIntegration',
    { ...iterable, removalGuard: { ...guard, maxShare: -0.1 } },
    { 'input.removalGuard.maxShare': 'must be from 0 to 1.' },
  ],
  [
    'connectIntegration',
    { ...iterable, dataCenter: 'EU' },
    {
      'input.projectType':
        'Iterable has no e-mail-based projects in its EU data center; choose USER_ID or HYBRID.',
    },
  ],
  [
    'connectMixpanel',
    { ...mixpanel, projectId: 'my project', serviceAccountUsername: '', serviceAccountSecret: 'ü' },
    {
      'input.projectId': "must be Mixpanel's numeric project id, digits only.",
      'input.serviceAccountUsername': CREDENTIAL,
      'input.serviceAccountSecret': CREDENTIAL,
    },
  ],
  [
    'connectMixpanel',
    { ...mixpanel, projectId: '1234567890123456789' },
    { 'input.projectId': "must be Mixpanel's numeric project id, digits only." },
  ],
];

test('bad input is told part by part, with what is allowed, and reaches no partner', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  for (const [mutation, input, expected] of cases) {
    const { extensions } = await app.api.fail(MUTATIONS[mutation], { input });
    expect(extensions.code).toBe('BAD_USER_INPUT');
    const told = Object.fromEntries(extensions.issues!.map(({ path, message }) => [path.join('.'), message]));
    expect([mutation, input, told]).toEqual([mutation, input, expected]);
  }
  expect(app.sandbox.calls.all).toEqual([]);
});

test('the longest name that is allowed is taken, counted in characters', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  for (const name of ['x'.repeat(200), '日'.repeat(200)]) {
    await app.api.query(MUTATIONS.createApiToken, { input: { name, role: 'CONSUMER' } });
  }
});

test('a search text that is too long or that no database can hold is refused', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const SEARCH = 'query ($search: String) { cohorts(search: $search) { totalCount } }';
  const issuesOf = async (search: string) => (await app.api.fail(SEARCH, { search })).extensions.issues;
  expect(await issuesOf('x'.repeat(201))).toEqual([{ path: ['search'], message: LONG_NAME }]);
  expect(await issuesOf('\0')).toEqual([{ path: ['search'], message: 'must not hold the character NUL.' }]);
});

test.for([
  ['{ viewer { nothing } }', {}, 'nothing', []],
  ['{ cohorts(source: PAPER) { totalCount } }', {}, 'PAPER', []],
  ['query ($first: Int) { cohorts(first: $first) { totalCount } }', { first: 'many' }, 'many', ['first']],
  ['query ($id: ID!) { cohort(id: $id) { name } }', {}, '$id', ['id']],
  [MUTATIONS.connectMixpanel, { input: { ...mixpanel, region: 'MOON' } }, 'MOON', ['input', 'region']],
  [MUTATIONS.connectMixpanel, { input: { ...mixpanel, moon: 1 } }, 'moon', ['input']],
  [
    'query ($source: [CohortSource!]) { cohorts(source: $source) { totalCount } }',
    { source: ['FILE', 'PAPER'] },
    'PAPER',
    ['source', 1],
  ],
  [
    'mutation ($at: DateTime) { createApiToken(input: { name: "x", role: ADMIN, expiresAt: $at }) { secret } }',
    { at: 'tomorrow' },
    'ISO 8601',
    ['at'],
  ],
] as const)(
  'a document or variable that does not fit the schema is BAD_USER_INPUT that says where: %s',
  async ([query, variables, word, path]) => {
    await using app = await startTestApp({ env: { ROLES: 'gateway' } });
    const { message, extensions } = await app.api.fail(query, variables);
    expect(extensions.code).toBe('BAD_USER_INPUT');
    expect(message).toContain(word);
    expect(extensions.issues).toEqual([{ path, message }]);
  },
);
