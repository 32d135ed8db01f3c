import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buildSchema, type GraphQLObjectType, getNamedType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';

const read = (path: string) => readFile(resolve(import.meta.dirname, '../..', path), 'utf8');

async function objectTypes(): Promise<GraphQLObjectType[]> {
  const schema = buildSchema(await read('schema.graphql'));
  const roots = [schema.getMutationType(), schema.getSubscriptionType()];
  return Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter((type) => !type.name.startsWith('__') && !roots.includes(type));
}

/** The types that a file says are parts of others. */
const entriesOf = (text: string) => [...text.matchAll(/^\s+(\w+): part,$/gm)].map(([, name]) => name!);

const FILES = ['test/clients/apollo-cache.ts', 'test/clients/graphcache.ts'];

test.each(FILES)(
  'docs/browser-apps.md has the settings of %s, which the tests of clients use, word by word',
  async (file) => {
    expect(await read('docs/browser-apps.md')).toContain(`\`\`\`ts\n${await read(file)}\`\`\``);
  },
);

test.each(FILES)('the settings of %s name every type without an id', async (file) => {
  const withoutId = (await objectTypes())
    .filter((type) => type.getFields().id === undefined)
    .map(({ name }) => name)
    .filter((name) => !/^(Query|PageInfo|.+Connection|.+Edge)$/.test(name));
  expect(entriesOf(await read(file))).toEqual(withoutId.toSorted());
});

test('the settings of caches name every list, with the arguments that make another one of it', async () => {
  const [apollo, urql] = await Promise.all(FILES.map(read));
  for (const type of await objectTypes()) {
    for (const field of Object.values(type.getFields())) {
      if (!getNamedType(field.type).name.endsWith('Connection')) continue;
      const filters = field.args.map(({ name }) => name).filter((name) => !['first', 'after'].includes(name));
      const args =
        filters.length === 0
          ? ''
          : `[${filters
              .toSorted()
              .map((name) => `'${name}'`)
              .join(', ')}]`;
      expect(apollo).toContain(`${field.name}: relayStylePagination(${args})`);
      expect(urql).toMatch(new RegExp(`${type.name}: \\{[^}]*\\b${field.name}: pages`));
    }
  }
});
