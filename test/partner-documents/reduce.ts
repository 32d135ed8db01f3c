import { readFileSync } from 'node:fs';
import { parse } from 'yaml';

// Prints what is needed of a partner's OpenAPI document: node reduce.ts <document> <path> …
// Texts and examples are left out, and so are definitions that no path leads to.

type Json = Record<string, unknown>;

const [file = '', ...paths] = process.argv.slice(2);
const document = parse(readFileSync(file, 'utf8')) as Json & { info: Json; paths: Json };

const TEXTS = ['description', 'summary', 'tags', 'operationId', 'security', 'example', 'examples', 'default'];

/** A map has names of the partner's as keys, among which all are kept. */
function strip(value: unknown, isMap = false): unknown {
  if (Array.isArray(value)) return value.map((element) => strip(element));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => isMap || !(TEXTS.includes(key) || key.startsWith('x-')))
      .map(([key, inner]) => [key, strip(inner, key === 'properties' && !isMap)]),
  );
}

const reduced: Json = {
  ...('swagger' in document ? { swagger: document.swagger } : { openapi: document.openapi }),
  info: { title: document.info.title, version: document.info.version },
  paths: Object.fromEntries(paths.map((path) => [path, strip(document.paths[path])])),
};

const references = (value: unknown) =>
  [...JSON.stringify(value).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, name]) => name!.split('/'));

const waiting = references(reduced);
for (let reference = waiting.pop(); reference; reference = waiting.pop()) {
  let from: Json = document;
  let to: Json = reduced;
  for (const name of reference.slice(0, -1)) {
    from = from[name] as Json;
    to[name] ??= {};
    to = to[name] as Json;
  }
  const name = reference.at(-1)!;
  if (name in to) continue;
  to[name] = strip(from[name]);
  waiting.push(...references(to[name]));
}

process.stdout.write(`${JSON.stringify(reduced, undefined, 2)}\n`);
