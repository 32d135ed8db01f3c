import type { IncomingMessage } from 'node:http';
import type { DocumentRequest } from './persisted-operations.ts';
import { badRequest } from './refusal.ts';

/** The parameters of a GraphQL request, each of the type that it must have. */
export interface GraphqlRequest extends DocumentRequest {
  operationName?: string | null | undefined;
  variables?: Readonly<Record<string, unknown>> | null | undefined;
}

const TEXTS = ['query', 'operationName', 'documentId', 'doc_id'] as const;
const OBJECTS = ['variables', 'extensions'] as const;

/** From a JSON body. Throws RefusalError 400 that names what has the wrong type. */
export function readJsonRequest(body: Buffer): GraphqlRequest {
  return checkRequest(parseJson(body.toString('utf8'), 'body'));
}

/** From the query of an address; variables and extensions are JSON in it. Throws RefusalError 400. */
export function readQueryRequest(url: string): GraphqlRequest {
  const start = url.indexOf('?');
  const search = new URLSearchParams(start < 0 ? '' : url.slice(start + 1));
  const request: Record<string, unknown> = {};
  for (const name of TEXTS) if (search.has(name)) request[name] = search.get(name);
  for (const name of OBJECTS) {
    const text = search.get(name);
    if (text !== null) request[name] = parseJson(text, name);
  }
  return checkRequest(request);
}

/** Throws RefusalError 400 that names what has the wrong type. */
export function checkRequest(value: unknown): GraphqlRequest {
  if (Array.isArray(value)) throw badRequest('body', 'must be one operation; send one request for each.');
  if (typeof value !== 'object' || value === null) throw badRequest('body', 'must be a JSON object.');
  const request = value as Record<string, unknown>;
  for (const name of TEXTS) {
    if (request[name] != null && typeof request[name] !== 'string')
      throw badRequest(name, 'must be a string.');
  }
  for (const name of OBJECTS) {
    const given = request[name];
    if (given != null && (typeof given !== 'object' || Array.isArray(given)))
      throw badRequest(name, 'must be an object.');
  }
  return request as GraphqlRequest;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badRequest(path, 'must be JSON.');
  }
}

/** The path of the request's target, also when that is a whole address; undefined for something else. */
export function pathOf({ url = '/' }: IncomingMessage): string | undefined {
  if (url.startsWith('/')) {
    const end = url.indexOf('?');
    return end < 0 ? url : url.slice(0, end);
  }
  return URL.canParse(url) && /^https?:/i.test(url) ? new URL(url).pathname : undefined;
}
