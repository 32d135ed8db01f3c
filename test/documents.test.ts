import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(resolve(ROOT, path), 'utf8');

test('every operation in the README is one that the API takes', () => {
  const schema = buildSchema(read('schema.graphql'));
  const operations = [...read('README.md').matchAll(/```graphql\n(.*?)```/gs)].map(([, text]) => text!);
  expect(operations.length).toBeGreaterThan(4);
  for (const operation of operations) expect(validate(schema, parse(operation))).toEqual([]);
});

test('every variable of the environment is in the README, and no other', () => {
  const [, object] = /const variables = z\s*\.object\(\{(.*?)\n {2}\}\)/s.exec(read('src/env.ts'))!;
  const known = [...object!.matchAll(/^ {4}([A-Z][A-Z_]+):/gm)].map(([, name]) => name!);
  const [, section] = /## Environment\n(.*?)\n## /s.exec(read('README.md'))!;
  const cells = [...section!.matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell]) => cell!);
  const told = cells.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name!));
  expect(known.length).toBeGreaterThan(20);
  expect(told.sort()).toEqual(known.sort());
});
