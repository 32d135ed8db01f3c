import { readFile } from 'node:fs/promises';
import {
  BreakingChangeType,
  buildSchema as buildFromText,
  DangerousChangeType,
  findSchemaChanges,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isNonNullType,
  isObjectType,
  isScalarType,
  print,
  printSchema,
} from 'graphql';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';
import { buildSchema } from '../src/schema/schema.ts';
import { rootFieldsOf } from './support/schema-calls.ts';

const text = await readFile(new URL('contract.graphql', import.meta.url), 'utf8');
const contract = buildFromText(text);

function inputOf({ type, default: given }: GraphQLArgument | GraphQLInputField): string {
  return given?.literal === undefined ? String(type) : `${type} = ${print(given.literal)}`;
}

/** As callers see it. */
const served = buildFromText(printSchema(buildSchema()));

/** Every name that a caller may build on, a line each: with its type, nullability, default value. */
function promisesOf(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap()).flatMap((type) => {
    if (type.name.startsWith('__')) return [];
    if (isEnumType(type)) return type.getValues().map((value) => `${type.name}.${value.name}`);
    if (isInputObjectType(type)) {
      return Object.values(type.getFields()).map((field) => `${type.name}.${field.name}: ${inputOf(field)}`);
    }
    if (isScalarType(type)) return [`scalar ${type.name} ${type.specifiedByURL ?? ''}`];
    if (!isObjectType(type) && !isInterfaceType(type)) return [];
    const implemented = type.getInterfaces().map((one) => `${type.name} implements ${one.name}`);
    const fields = Object.values(type.getFields()).flatMap((field) => [
      `${type.name}.${field.name}: ${field.type}`,
      ...field.args.map((arg) => `${type.name}.${field.name}(${arg.name}): ${inputOf(arg)}`),
    ]);
    return [...implemented, ...fields];
  });
}

const missingFrom = (schema: GraphQLSchema) => {
  const given = new Set(promisesOf(schema));
  return promisesOf(contract).filter((promise) => !given.has(promise));
};

test('every promised name is served with its promised type, nullability and default', () => {
  expect(promisesOf(contract).length).toBeGreaterThan(200);
  expect(missingFrom(served)).toEqual([]);
});

/** What a client or its generated types would stumble over, were the one schema to take the place of the other. */
const harmfulChanges = (from: GraphQLSchema, to: GraphQLSchema) => {
  const harmful: ReadonlySet<string> = new Set([
    ...Object.values(BreakingChangeType),
    ...Object.values(DangerousChangeType),
  ]);
  return findSchemaChanges(from, to).filter(({ type }) => harmful.has(type));
};

test('what is served beyond the promise breaks no operation that keeps to it, and endangers none', () => {
  expect(harmfulChanges(contract, served)).toEqual([]);
});

test('a value, an argument or an input field that the promise lacks is noticed', () => {
  const changed = text
    .replace('enum ListAction {', 'enum ListAction { ARCHIVE')
    .replace('search: String,', 'search: String, more: String,')
    .replace('input RemovalGuardInput {', 'input RemovalGuardInput { more: Int');
  expect(
    harmfulChanges(contract, buildFromText(changed))
      .map(({ type }) => type)
      .sort(),
  ).toEqual(['OPTIONAL_ARG_ADDED', 'OPTIONAL_INPUT_FIELD_ADDED', 'VALUE_ADDED_TO_ENUM']);
});

test('every root field but viewer is nullable, so that one that fails leaves the others their answers', () => {
  const roots = [...rootFieldsOf(served, 'query'), ...rootFieldsOf(served, 'mutation')];
  expect(roots.length).toBeGreaterThan(30);
  const strict = roots.filter(({ field }) => isNonNullType(field.type)).map(({ name }) => name);
  expect(strict).toEqual(['viewer']);
});

test('every row of a list has an id, so that caches tell one from the other', () => {
  const rows = Object.values(served.getTypeMap()).flatMap((type) =>
    isObjectType(type) && type.name.endsWith('Edge') ? [getNamedType(type.getFields().node!.type)] : [],
  );
  expect(rows.length).toBeGreaterThan(6);
  const idOf = (type: GraphQLNamedType) => isObjectType(type) && String(type.getFields().id?.type);
  expect(rows.filter((type) => idOf(type) !== 'ID!')).toEqual([]);
});

test('a name, a nullability or a default that changes is noticed', () => {
  const changed = text
    .replace('viewer: Viewer!', 'viewer: Viewer')
    .replace(/(enum ListAction {[^}]*)DELETE/, '$1')
    .replace('dataCenter: DataCenter! = US', 'dataCenter: DataCenter! = EU')
    .replace(/search: String,?/, '');
  expect(missingFrom(buildFromText(changed)).sort()).toEqual([
    'ConnectIntegrationInput.dataCenter: DataCenter! = US',
    'ListAction.DELETE',
    'Query.cohorts(search): String',
    'Query.viewer: Viewer!',
  ]);
});

test('what has no implementation yet is not in the schema', () => {
  const names = promisesOf(served).join('\n');
  for (const name of ['auditLog']) expect(names).not.toContain(name);
});

test('errors bear the promised codes and no others', () => {
  const promised = contract.getType('ErrorCode');
  const codes = isEnumType(promised) ? promised.getValues().map((value) => value.name) : [];
  expect([...ERROR_CODES].sort()).toEqual(codes.sort());
});
