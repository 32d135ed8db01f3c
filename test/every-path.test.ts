import { expect, test } from 'vitest';
import { buildSchema } from '../src/schema/schema.ts';
import { furnish } from './support/furnish.ts';
import { callOf, idPathsOf, rootFieldsOf, wholeSelectionOf } from './support/schema-calls.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

/** Compiled from its third use on; asked for more often than that, it has been answered by both. */
const USES = 5;

type Variables = Record<string, unknown>;
interface Asked {
  query: string;
  variables?: Variables;
  operationName?: string;
}
type Ask = (app: TestApp, asked: Asked, token?: string) => Promise<unknown>;

const bearer = (app: TestApp, token = app.ownerSecret) => ({ authorization: `Bearer ${token}` });

async function postJson(app: TestApp, asked: Asked, token: string | undefined, accept: string) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept, ...bearer(app, token) },
    body: JSON.stringify(asked),
  });
  return await response.text();
}

const PATHS: Record<string, Ask> = {
  'POST with JSON': async (app, asked, token) =>
    JSON.parse(await postJson(app, asked, token, 'application/json')),
  GET: async (app, { query, variables, operationName }, token) => {
    const search = new URLSearchParams({ query });
    if (variables) search.set('variables', JSON.stringify(variables));
    if (operationName) search.set('operationName', operationName);
    return await (await fetch(`${app.url}/graphql?${search}`, { headers: bearer(app, token) })).json();
  },
  'server-sent events': async (app, asked, token) => {
    const text = await postJson(app, asked, token, 'text/event-stream');
    // What is refused before it is executed is no stream.
    return JSON.parse(/^data: (\{.+)$/m.exec(text)?.[1] ?? text);
  },
  WebSocket: async (app, asked, token) => {
    const client = app.as(token ?? app.ownerSecret).webSocket();
    try {
      return await new Promise((resolve, reject) => {
        client.subscribe(
          { operationName: null, ...asked },
          {
            next: resolve,
            // The protocol has a message of its own for what is refused.
            error: (errors) => (Array.isArray(errors) ? resolve({ errors }) : reject(errors)),
            complete: () => undefined,
          },
        );
      });
    } finally {
      await client.dispose();
    }
  },
};

/** Each path's answers, one for each use. */
async function askEverywhere(app: TestApp, asked: Asked, token?: string): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const ask of Object.values(PATHS)) {
    for (let use = 0; use < USES; use++) answers.push(await ask(app, asked, token));
  }
  return answers;
}

async function expectEverywhere(app: TestApp, asked: Asked, answer: unknown, token?: string) {
  const answers = await askEverywhere(app, asked, token);
  expect(answers).toEqual(Array(Object.keys(PATHS).length * USES).fill(answer));
}

test('an operation is answered alike on every path, compiled or not', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [
    { distinctId: 'a', properties: { $email: 'a@example.com' } },
    { distinctId: 'b', properties: {} },
  ]);
  const { id } = await app.syncToEnd(cohort.id);
  await expectEverywhere(
    app,
    {
      query: `query ($run: ID!, $first: Int = 1, $isWhole: Boolean!) {
        viewer { role ...Token @include(if: $isWhole) }
        run: syncRun(id: $run) { status counts { members added rejected } ...Ledger @skip(if: $isWhole) }
        node(id: $run) { __typename ... on SyncRun { phase } ... on Cohort { name } }
        cohorts(first: $first) { totalCount edges { node { name export { listName lastRun { progress } } } } }
        missing: syncRun(id: "nothing") { id }
      }
      fragment Token on Viewer { tokenName }
      fragment Ledger on SyncRun { members { totalCount } }`,
      variables: { run: id, isWhole: true },
    },
    {
      data: {
        viewer: { role: 'OWNER', tokenName: 'Bootstrap token' },
        run: { status: 'PARTIALLY_SUCCEEDED', counts: { members: 2, added: 1, rejected: 1 } },
        node: { __typename: 'SyncRun', phase: 'DONE' },
        cohorts: {
          totalCount: 1,
          edges: [
            { node: { name: 'Trial', export: { listName: cohort.listName, lastRun: { progress: 1 } } } },
          ],
        },
        missing: null,
      },
    },
  );
});

test('every field of every query and subscription is the same, compiled or not', async () => {
  await using app = await startTestApp();
  const { ids } = await furnish(app, app.api, 'mark');
  const asked: string[] = [];
  for (const root of rootFieldsOf(buildSchema()).filter(({ kind }) => kind !== 'mutation')) {
    const paths = idPathsOf(root);
    const known = root.name === 'member' ? { email: 'first@mark.example.com' } : {};
    for (const id of paths.length === 0 ? [undefined] : Object.values(ids)) {
      const values = { ...known, ...Object.fromEntries(paths.map((path) => [path, id])) };
      const call = callOf(root, { values, selection: wholeSelectionOf(root.field.type) });
      const answers: unknown[] = [];
      for (let use = 0; use < USES; use++) answers.push(await PATHS.WebSocket!(app, call));
      expect(answers).toEqual(Array(USES).fill(answers[0]));
      asked.push(JSON.stringify(answers[0]));
    }
  }
  // Not only what is not there: each kind of row, and an instant of each, was among the answers.
  for (const id of Object.values(ids)) expect(asked.join()).toContain(`"${id}"`);
  expect(asked.join()).toMatch(/"(?:startedAt|refreshedAt)":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/);
});

test('of several operations in a document the named one is answered', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const query = 'query a { viewer { role } } query b { viewer { tokenName } }';
  await expectEverywhere(app, { query, operationName: 'a' }, { data: { viewer: { role: 'OWNER' } } });
  await expectEverywhere(
    app,
    { query, operationName: 'b' },
    { data: { viewer: { tokenName: 'Bootstrap token' } } },
  );
});

test.each([
  [
    'bad input',
    'query ($first: Int) { cohorts(first: $first) { totalCount } }',
    { first: 101 },
    'BAD_USER_INPUT',
  ],
  [
    'a wrong variable',
    'query ($first: Int) { cohorts(first: $first) { totalCount } }',
    { first: 'x' },
    'BAD_USER_INPUT',
  ],
  ['a missing variable', 'query ($id: ID!) { cohort(id: $id) { id } }', {}, 'BAD_USER_INPUT'],
  ['an unknown field', '{ viewer { nothing } }', {}, 'BAD_USER_INPUT'],
  ['a syntax error', '{ viewer {', {}, 'BAD_USER_INPUT'],
  [
    'an operation that is too large',
    `{ exports(first: 100) { edges { node { runs(first: 100) { edges { node {
      members(first: 100) { edges { node { email } } } } } } } } } }`,
    {},
    'QUERY_TOO_COMPLEX',
  ],
])('%s is told alike on every path, compiled or not', async (_what, query, variables, code) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const answers = (await askEverywhere(app, { query, variables })) as {
    errors: { message: string; path?: unknown; locations?: unknown; extensions: { code: string } }[];
  }[];
  const [first] = answers;
  expect(first!.errors.map(({ extensions }) => extensions.code)).toEqual([code]);
  for (const { errors } of answers) {
    const [{ message, path, extensions }] = errors as [(typeof errors)[0]];
    expect({ message, path, extensions }).toEqual({
      message: first!.errors[0]!.message,
      path: first!.errors[0]!.path,
      extensions: first!.errors[0]!.extensions,
    });
  }
});

test('what a role may not do is refused alike on every path that takes it, and changes nothing', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { secret } = await makeToken(app, 'CONSUMER');
  const query = 'mutation { createApiToken(input: { name: "x", role: CONSUMER }) { secret } }';
  for (const [name, ask] of Object.entries(PATHS)) {
    for (let use = 0; use < USES; use++) {
      const { errors } = (await ask(app, { query }, secret)) as {
        errors: { extensions: { code: string } }[];
      };
      // A mutation is no matter for GET, whoever sends it.
      const code = name === 'GET' ? 'BAD_USER_INPUT' : 'FORBIDDEN';
      expect([name, errors.map(({ extensions }) => extensions.code)]).toEqual([name, [code]]);
    }
  }
  const { apiTokens } = await app.api.query('{ apiTokens { totalCount } }');
  expect(apiTokens.totalCount).toBe(2);
});

test('equal queries that come at once are each answered with what was so when they came', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const count = async () => (await app.api.query('{ apiTokens { totalCount } }')).apiTokens.totalCount;
  let known = await count();
  for (let round = 0; round < 20; round++) {
    const asked = Array.from({ length: 10 }, count);
    const made = makeToken(app, 'CONSUMER', { name: `Token ${round}` }).then(() => count());
    expect(await made).toBe(known + 1);
    for (const answer of await Promise.all(asked)) expect([known, known + 1]).toContain(answer);
    known++;
  }
});

test('a token that is revoked opens nothing from the moment of the answer, however often it was used before', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { id, secret, api } = await makeToken(app, 'ANALYST');
  for (let use = 0; use < USES; use++) await api.query('{ viewer { role } }');
  await app.api.query('mutation ($id: ID!) { revokeApiToken(id: $id) { id } }', { id });
  for (const name of ['POST with JSON', 'GET', 'server-sent events']) {
    const { errors } = (await PATHS[name]!(app, { query: '{ viewer { role } }' }, secret)) as {
      errors: { extensions: { code: string } }[];
    };
    expect(errors.map(({ extensions }) => extensions.code)).toEqual(['UNAUTHENTICATED']);
  }
});
