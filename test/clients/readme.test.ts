import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buildSchema, type GraphQLObjectType, getNamedType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { keys, lists } from './cache-settings.ts';

const read = (path: string) => readFile(resolve(import.meta.dirname, '../..', path), 'utf8');

async function objectTypes(): Promise<GraphQLObjectType[]> {
  const schema = buildSchema(await read('schema.graphql'));
  const roots = [schema.getMutationType(), schema.getSubscriptionType()];
  return Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter((type) => !type.name.startsWith('__') && !roots.includes(type));
}

test('README has the settings of caches that the tests of clients use, word by word', async () => {
  expect(await read('README.md')).toContain(
    `\`\`\`ts\n${await read('test/clients/cache-settings.ts')}\`\`\``,
  );
});

test('the settings of caches name every type without an id', async () => {
  const withoutId = (await objectTypes())
    .filter((type) => type.getFields().id === undefined)
    .map(({ name }) => name)
    .filter((name) => !/^(Query|PageInfo|.+Connection|.+Edge)$/.test(name));
  expect(Object.keys(keys).toSorted()).toEqual(withoutId.toSorted());
});

test('the settings of caches name every list, with the arguments that make another one of it', async () => {
  const found: Record<string, Record<string, string[]>> = {};
  for (const type of await objectTypes()) {
    for (const field of Object.values(type.getFields())) {
      if (!getNamedType(field.type).name.endsWith('Connection')) continue;
      const filters = field.args.map(({ name }) => name).filter((name) => !['first', 'after'].includes(name));
      found[type.name] = { ...found[type.name], [field.name]: filters.toSorted() };
    }
  }
  expect(lists).toEqual(found);
});
