import { readFile } from 'node:fs/promises';
import {
  buildSchema as buildFromText,
  findBreakingChanges,
  type GraphQLArgument,
  type GraphQLInputField,
  type GraphQLSchema,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  print,
  printSchema,
} from 'graphql';
import { expect, test } from 'vitest';
import { ERROR_CODES } from '../src/errors.ts';
import { buildSchema } from '../src/schema/schema.ts';

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
    if (!isObjectType(type) && !isInterfaceType(type)) return [`scalar ${type.name}`];
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

test('what is served beyond the promise breaks no operation that keeps to it', () => {
  expect(findBreakingChanges(contract, served)).toEqual([]);
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
