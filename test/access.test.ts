import {
  buildSchema as buildFromText,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
} from 'graphql';
import { expect, test } from 'vitest';
import { buildSchema } from '../src/schema/schema.ts';
import { callOf, type RootField, rootFieldsOf, sendCall } from './support/schema-calls.ts';
import { startTestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const schema = buildSchema();

/** The least role that a root field asks for, as its definition says. Everything else is reached through root fields. */
function ruleOf({ field }: RootField): string | undefined {
  const options = field.extensions.pothosOptions as { authScopes?: { role?: string } } | undefined;
  return options?.authScopes?.role;
}

const withoutRule = (given: GraphQLSchema) =>
  rootFieldsOf(given)
    .filter((root) => ruleOf(root) === undefined)
    .map((root) => `${root.kind} ${root.name}`);

test('every query, mutation and subscription says which role it takes', () => {
  expect(rootFieldsOf(schema).length).toBeGreaterThan(30);
  expect(withoutRule(schema)).toEqual([]);
});

test('a field without a rule would be found', () => {
  const bare = buildFromText('type Query { open: Int } type Mutation { change: Int }');
  expect(withoutRule(bare)).toEqual(['query open', 'mutation change']);
});

test('every role may read and watch; only ADMIN and OWNER may change', () => {
  const rules = rootFieldsOf(schema).map((root) => [root.kind, ruleOf(root)]);
  expect(rules.filter(([kind, rule]) => kind !== 'mutation' && rule !== 'CONSUMER')).toEqual([]);
  expect(rules.filter(([kind, rule]) => kind === 'mutation' && rule !== 'ADMIN' && rule !== 'OWNER')).toEqual(
    [],
  );
});

test('everything in the schema is described', () => {
  const missing: string[] = [];
  const see = (place: string, described: { description?: string | null | undefined }) => {
    if (!described.description?.trim()) missing.push(place);
  };
  for (const type of Object.values(schema.getTypeMap())) {
    if (type.name.startsWith('__')) continue;
    see(type.name, type);
    if (isEnumType(type)) for (const value of type.getValues()) see(`${type.name}.${value.name}`, value);
    if (isInputObjectType(type))
      for (const field of Object.values(type.getFields())) see(`${type.name}.${field.name}`, field);
    if (!isObjectType(type) && !isInterfaceType(type)) continue;
    for (const field of Object.values(type.getFields())) {
      see(`${type.name}.${field.name}`, field);
      for (const arg of field.args) see(`${type.name}.${field.name}(${arg.name})`, arg);
    }
  }
  expect(missing).toEqual([]);
});

test.for(['CONSUMER', 'ANALYST'] as const)('a token of role %s is refused every mutation', async (role) => {
  await using app = await startTestApp();
  const { api } = await makeToken(app, role);
  const answers: Record<string, unknown> = {};
  for (const root of rootFieldsOf(schema, 'mutation')) {
    const { errors, data } = await sendCall(api, callOf(root));
    answers[root.name] = [errors?.map((error) => error.extensions.code), data];
  }
  // An upload is refused before there is anything to execute.
  const refused = (name: string) => [['FORBIDDEN'], name === 'importCohort' ? undefined : { [name]: null }];
  expect(answers).toEqual(Object.fromEntries(Object.keys(answers).map((name) => [name, refused(name)])));
});

test('a token of role ADMIN is refused nothing but createProject', async () => {
  await using app = await startTestApp();
  const { api } = await makeToken(app, 'ADMIN');
  const refused: string[] = [];
  for (const root of rootFieldsOf(schema, 'mutation')) {
    const { errors } = await sendCall(api, callOf(root, { values: { 'input.role': 'ADMIN' } }));
    if (errors?.some((error) => error.extensions.code === 'FORBIDDEN')) refused.push(root.name);
  }
  expect(refused).toEqual(['createProject']);
});

test.for(['CONSUMER', 'ANALYST'] as const)('a token of role %s reads everything', async (role) => {
  await using app = await startTestApp();
  const { api } = await makeToken(app, role);
  for (const root of rootFieldsOf(schema, 'query')) {
    const { errors } = await sendCall(api, callOf(root));
    expect([root.name, errors?.map((error) => error.extensions.code) ?? []]).toEqual([root.name, []]);
  }
});

test('a token of role CONSUMER watches over WebSocket and server-sent events', async () => {
  await using app = await startTestApp();
  const { api } = await makeToken(app, 'CONSUMER');
  const query = 'subscription { integrationUpdated { provider status } }';
  const first = { integrationUpdated: { provider: 'ITERABLE', status: 'DISCONNECTED' } };
  const stream = api.sse(query);
  expect((await stream.next()).value).toEqual(first);
  await stream.return(undefined);
  const client = api.webSocket();
  const values = client.iterate({ query });
  expect((await values.next()).value.data).toEqual(first);
  await client.dispose();
});

test('a mutation over WebSocket is refused to a CONSUMER too', async () => {
  await using app = await startTestApp();
  const { api } = await makeToken(app, 'CONSUMER');
  const client = api.webSocket();
  const answers = client.iterate({ query: 'mutation { disconnectMixpanel { id } }' });
  const { value } = await answers.next();
  expect(value.errors.map((error: { extensions: object }) => error.extensions)).toEqual([
    { code: 'FORBIDDEN' },
  ]);
  await client.dispose();
});
