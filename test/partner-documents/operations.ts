import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import formats from 'ajv-formats';
import { type DocumentName, PATCHES } from './patches.ts';

// biome-ignore lint/suspicious/noExplicitAny: a document is whatever its authors wrote.
type Json = any;

export interface Body {
  mediaType: string;
  /** Undefined: there is nothing that it could breach. */
  validate: ValidateFunction | undefined;
}

/** One operation of a partner's document, ready to compare with. */
export interface Operation {
  document: DocumentName;
  /** For example GET /api/lists/{listId}/size. */
  name: string;
  query: ValidateFunction;
  /** Values of the path's places; undefined when the path is another one. */
  readPath(path: string): Record<string, string> | undefined;
  places: ValidateFunction;
  /** None: it takes no body. */
  bodies: Body[];
  isBodyRequired: boolean;
  /** By status. */
  answers: Map<number, Body[]>;
}

/** Where the paths of a document begin. */
const BASES: Record<DocumentName, string[]> = {
  iterable: [''],
  'mixpanel-query': ['/api/query', '/api/2.0'],
  'mixpanel-ingestion': [''],
};

const strict = createAjv(false);
/** Of a query, a path or a form, everything is text. */
const lenient = createAjv('array');

/** Everything that the documents have, patched. Read once for all tests of a process. */
const OPERATIONS: readonly Operation[] = Object.keys(BASES)
  .flatMap((name) => readOperations(name as DocumentName))
  // /api/users/getFields is no e-mail.
  .sort((one, other) => countPlaces(one) - countPlaces(other));

export function findOperation(method: string, path: string): Operation | undefined {
  return OPERATIONS.find(({ name, readPath }) => name.startsWith(`${method} `) && readPath(path));
}

/** As METHOD /path. */
export function operationsOf(document: DocumentName): string[] {
  return OPERATIONS.filter((one) => one.document === document).map(({ name }) => name);
}

function countPlaces({ name }: Operation): number {
  return name.split('{').length;
}

function createAjv(coerceTypes: false | 'array'): Ajv {
  const ajv = new Ajv({ strict: false, validateSchema: false, coerceTypes });
  formats.default(ajv);
  ajv.addFormat('json-names', (text) => isJson(text, (value) => Array.isArray(value) && value.every(isText)));
  ajv.addFormat('json-cohort', (text) =>
    isJson(text, (value) => typeof value === 'object' && Object.keys(value ?? {}).join() === 'id'),
  );
  return ajv;
}

function isText(value: unknown): boolean {
  return typeof value === 'string';
}

function isJson(text: string, isRight: (value: unknown) => boolean): boolean {
  try {
    return isRight(JSON.parse(text));
  } catch {
    return false;
  }
}

function readOperations(name: DocumentName): Operation[] {
  const document: Json = JSON.parse(readFileSync(join(import.meta.dirname, `${name}.json`), 'utf8'));
  for (const patch of PATCHES) {
    if (patch.document !== name) continue;
    const places = find(document, patch.at);
    if (places.length === 0) throw new Error(`Nothing is at ${patch.at.join(' ')} of ${name}.`);
    for (const place of places) apply(place, patch.value);
  }
  for (const schema of Object.values<Json>(document.definitions ?? document.components?.schemas ?? {})) {
    close(schema);
  }
  strict.addSchema(document, name);
  lenient.addSchema(document, name);
  return BASES[name].flatMap((base) =>
    Object.entries<Json>(document.paths).flatMap(([path, methods]) =>
      Object.entries<Json>(methods).map(([method, operation]) =>
        readOperation(document, { name, base, path, method, operation }),
      ),
    ),
  );
}

function readOperation(
  document: Json,
  given: { name: DocumentName; base: string; path: string; method: string; operation: Json },
): Operation {
  const { name, base, path, method, operation } = given;
  const resolve = (node: Json): Json =>
    node?.$ref ? find(document, node.$ref.slice(2).split('/'))[0] : node;
  const compile = (schema: Json, ajv = strict): ValidateFunction | undefined =>
    schema && ajv.compile(absolute(close(structuredClone(schema)), name));
  const parameters: Json[] = (operation.parameters ?? []).map(resolve);
  const ofPlace = (place: string) => {
    const wanted = parameters.filter((parameter) => parameter.in === place);
    return {
      type: 'object',
      properties: Object.fromEntries(wanted.map((one) => [one.name, one.schema ?? toSchema(one)])),
      required: wanted.filter((one) => one.required).map((one) => one.name),
    };
  };
  const contents = (content: Json): Body[] =>
    Object.entries<Json>(content ?? {}).map(([mediaType, { schema }]) => ({
      mediaType,
      validate: compile(schema, mediaType.includes('form') ? lenient : strict),
    }));
  const ofSwagger = (schema: Json, mediaType: string): Body[] => [{ mediaType, validate: compile(schema) }];

  const inBody = parameters.find((parameter) => parameter.in === 'body');
  const produces: string = operation.produces?.[0] ?? 'application/json';
  const pattern = new RegExp(`^${base}${path.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+)')}$`);
  return {
    document: name,
    name: `${method.toUpperCase()} ${base}${path}`,
    query: compile(ofPlace('query'), lenient)!,
    places: compile(ofPlace('path'), lenient)!,
    readPath: (asked) => pattern.exec(asked)?.groups ?? (pattern.test(asked) ? {} : undefined),
    bodies: inBody ? ofSwagger(inBody.schema, 'application/json') : contents(operation.requestBody?.content),
    isBodyRequired: inBody?.required ?? operation.requestBody?.required ?? false,
    answers: new Map(
      Object.entries<Json>(operation.responses).map(([status, given]) => {
        const response = resolve(given);
        // Refusals are JSON also where the answer is text.
        const mediaType = Number(status) < 400 ? produces : 'application/json';
        return [
          Number(status),
          document.swagger ? ofSwagger(response.schema, mediaType) : contents(response.content),
        ];
      }),
    ),
  };
}

function apply(place: Json, value: Record<string, unknown>): void {
  for (const [key, given] of Object.entries(value)) {
    place[key] = Array.isArray(place[key]) && Array.isArray(given) ? [...place[key], ...given] : given;
  }
}

/** The nodes that a path of keys leads to. */
function find(node: Json, [key, ...rest]: string[]): Json[] {
  if (key === undefined) return [node];
  if (typeof node !== 'object' || node === null) return [];
  const keys = key === '*' ? Object.keys(node) : [key];
  return keys.flatMap((one) => (one in node ? find(node[one], rest) : []));
}

/** Objects have the properties that are documented and no others, unless the document says so. */
function close(schema: Json): Json {
  if (schema.properties) {
    schema.additionalProperties ??= false;
    for (const inner of Object.values<Json>(schema.properties)) close(inner);
  }
  if (schema.items) close(schema.items);
  return schema;
}

/** References as from outside of the document. */
function absolute(schema: Json, name: string): Json {
  return JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', `"$ref":"${name}#/`));
}

/** Swagger 2 writes the schema of a parameter beside its name. */
function toSchema({ type, format, items, enum: values }: Json): Json {
  return { type, format, items, enum: values };
}
