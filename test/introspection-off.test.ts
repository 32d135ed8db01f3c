import { expect, test } from 'vitest';
import { startTestApp, type TestApp } from './support/test-app.ts';

const start = (introspection: 'on' | 'off') =>
  startTestApp({ env: { ROLES: 'gateway', INTROSPECTION: introspection } });

/** Executed three times, because an operation is compiled when it is used again. */
async function messagesOf(app: TestApp, query: string, variables: Record<string, unknown> = {}) {
  const messages: string[] = [];
  const client = app.api.webSocket();
  for (let use = 0; use < 3; use++) {
    const overHttp = (await app.api.send(query, variables)).errors;
    const overWebSocket = await client
      .iterate({ query, variables })
      .next()
      .then(({ value }) => value?.errors as typeof overHttp)
      .catch((errors) => errors as typeof overHttp);
    const texts = [overHttp, overWebSocket].map((errors) => errors?.map(({ message }) => message).join('\n'));
    messages.push(...texts.map((text) => text ?? ''));
  }
  await client.dispose();
  return messages;
}

test.each([
  '{ __schema { types { name } } }',
  '{ __type(name: "Cohort") { name } }',
  'query A { viewer { role } __schema { queryType { name } } }',
])('with INTROSPECTION=off %s is refused', async (query) => {
  await using app = await start('off');
  for (const message of await messagesOf(app, query)) expect(message).toMatch(/introspection/i);
});

test('with INTROSPECTION=off the names of types can still be asked for', async () => {
  await using app = await start('off');
  const query = '{ __typename viewer { __typename } }';
  for (let use = 0; use < 4; use++) {
    expect(await app.api.query(query)).toEqual({ __typename: 'Query', viewer: { __typename: 'Viewer' } });
  }
});

const NEAR_MISSES: [what: string, query: string, variables?: Record<string, unknown>][] = [
  ['a field', '{ viewer { rol } }'],
  ['an argument', '{ cohorts(sourc: MIXPANEL) { totalCount } }'],
  ['a value of an enum', '{ cohorts(source: MIXPANE) { totalCount } }'],
  ['a type', 'query ($source: CohortSorce) { viewer { role } }'],
  ['a type of a fragment', '{ node(id: "x") { ... on Cohor { id } } }'],
  ['a field of an input', 'mutation { createProject(input: { nam: "x" }) { secret } }'],
  ['a directive', '{ viewer @skp(if: true) { role } }'],
  [
    'a variable',
    'query ($source: [CohortSource!]) { cohorts(source: $source) { totalCount } }',
    { source: ['MIXPANE'] },
  ],
  [
    'a variable of a mutation',
    'mutation ($input: CreateProjectInput!) { createProject(input: $input) { secret } }',
    { input: { name: 'x', nam: 'x' } },
  ],
  [
    'a variable of a subscription',
    'subscription ($outcome: [MemberOutcome!]) { syncRunUpdated { members(outcome: $outcome) { totalCount } } }',
    { outcome: ['ADDE'] },
  ],
];

test.each(NEAR_MISSES)(
  'with INTROSPECTION=off nothing of the schema is suggested for %s that is wrong',
  async (_what, query, variables) => {
    await using app = await start('off');
    for (const message of await messagesOf(app, query, variables)) {
      expect(message).not.toBe('');
      expect(message).not.toMatch(/did you mean/i);
    }
  },
);

test('with INTROSPECTION=on a wrong field is answered with the right one', async () => {
  await using app = await start('on');
  for (const message of await messagesOf(app, '{ viewer { rol } }'))
    expect(message).toContain('Did you mean');
});
