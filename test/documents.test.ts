import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';

const ROOT = resolve(import.meta.dirname, '..');
const read = (path: string) => readFileSync(resolve(ROOT, path), 'utf8');
const PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  'sandbox/README.md',
  ...globSync('docs/**/*.md', { cwd: ROOT }).sort(),
];

test('README can be read in one sitting', () => {
  expect(read('README.md').split('\n').length).toBeLessThanOrEqual(150);
});

test('every operation in the documents is one that the API takes', () => {
  const schema = buildSchema(read('schema.graphql'));
  const operations = PAGES.flatMap((page) =>
    [...read(page).matchAll(/```graphql\n(.*?)```/gs)].map(([, text]) => text!),
  );
  expect(operations.length).toBeGreaterThan(3);
  for (const operation of operations) expect(validate(schema, parse(operation))).toEqual([]);
});

test('every variable of the environment is in docs/configuration.md, and no other', () => {
  const [, object] = /const variables = z\s*\.object\(\{(.*?)\n {2}\}\)/s.exec(read('src/env.ts'))!;
  const known = [...object!.matchAll(/^ {4}([A-Z][A-Z_]+):/gm)].map(([, name]) => name!);
  const cells = [...read('docs/configuration.md').matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell]) => cell!);
  const told = cells.flatMap((cell) => [...cell.matchAll(/`([A-Z_]+)`/g)].map(([, name]) => name!));
  expect(known.length).toBeGreaterThan(20);
  expect(told.sort()).toEqual(known.sort());
});

test('every link from page to page leads somewhere, headings included', () => {
  const slug = (heading: string) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');
  for (const page of PAGES) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
      const [file = '', anchor] = target!.split('#');
      const path = file === '' ? page : resolve(ROOT, dirname(page), file);
      const headings = () => [...read(path).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => slug(heading!));
      expect(existsSync(resolve(ROOT, path)), `${page}: ${target}`).toBe(true);
      if (anchor !== undefined) expect(headings(), `${page}: ${target}`).toContain(anchor);
    }
  }
});

test('every message that docs/troubleshooting.md quotes is one of ours', () => {
  // Code joins what it says from parts: quotes and what is put in between are left out on both sides.
  const sources = globSync('{src,db,sandbox}/**/*.ts', { cwd: ROOT }).map(read).join('\n');
  const said = sources.replaceAll(/\$\{[^{}]*(\{[^{}]*\}[^{}]*)*\}/g, '…').replaceAll(/['"`]/g, '');
  const quoted = [...read('docs/troubleshooting.md').matchAll(/^\| (`[^|]+?)\s+\|/gm)]
    .flatMap(([, cell]) => [...cell!.matchAll(/`([^`]{12,})`/g)])
    .map(([, message]) => message!.replaceAll(/['"]/g, ''));
  expect(quoted.length).toBeGreaterThan(20);
  for (const message of quoted) {
    for (const part of message.split('…').map((one) => one.trim())) {
      const words = part.replace(/^[A-Z_]+:? /, '').replace(/^[;.,() ]+|[;.,() ]+$/g, '');
      if (words.length > 8) expect(said.includes(words), `${message}: ${words}`).toBe(true);
    }
  }
});
