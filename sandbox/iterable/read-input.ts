import type { z } from 'zod';
import type { SandboxReply, SandboxRequest } from '../http.ts';
import { badParams, refuse } from './answers.ts';

/** A request before anybody looked at its key. */
export interface Asked {
  request: SandboxRequest;
  /** What stands in the places of the path. */
  places: Record<string, string>;
}

export type Read<Input> = { input: Input } | { refusal: SandboxReply };

const MAX_BODY_BYTES = 4_000_000;

/** Reads a body of JSON, which says of itself that it is. */
export function readBody<Schema extends z.ZodType>(
  schema: Schema,
  { request }: Asked,
): Read<z.output<Schema>> {
  const refusal = (params: Record<string, string>) => ({
    refusal: refuse(400, 'BadJsonBody', `[${request.path}] Invalid JSON body`, params),
  });
  if (request.bytes.length > MAX_BODY_BYTES) {
    return { refusal: refuse(413, 'BatchTooLarge', 'Request body too large') };
  }
  const body = isJson(request.headers['content-type']) ? parseJson(request.body) : undefined;
  if (body === undefined) return refusal({ obj: 'JSON body expected' });
  const { data, error } = schema.safeParse(body);
  return error
    ? refusal(Object.fromEntries(error.issues.map((issue) => [toPath(issue.path), toText(issue)])))
    : { input: data as z.output<Schema> };
}

/** Reads the query and the places of the path. Of a name that comes several times in the query, the first. */
export function readParams<Schema extends z.ZodType>(
  schema: Schema,
  { request, places }: Asked,
): Read<z.output<Schema>> {
  const given = { ...Object.fromEntries([...request.query].reverse()), ...places };
  const { data, error } = schema.safeParse(given);
  if (!error) return { input: data as z.output<Schema> };
  const names = [...new Set(error.issues.map((issue) => issue.path.join('.')))];
  return { refusal: badParams(`Invalid or missing parameter: ${names.join(', ')}`) };
}

function isJson(contentType: string | undefined): boolean {
  return /^(application|text)\/json\s*(;|$)/i.test(contentType?.trim() ?? '');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** obj.users[1].preferUserId */
function toPath(path: PropertyKey[]): string {
  return `obj${path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')}`;
}

/** "Boolean value expected", as Iterable words it. */
function toText(issue: z.core.$ZodIssue): string {
  const expected = issue.code === 'invalid_type' ? issue.expected : 'other';
  const name = { int: 'number', record: 'object' }[expected as string] ?? expected;
  return `${name.charAt(0).toUpperCase()}${name.slice(1)} value expected`;
}
