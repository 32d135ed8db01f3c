import type { IncomingMessage } from 'node:http';
import { MIMEType } from 'node:util';
import Negotiator from 'negotiator';

export const JSON_TYPE = 'application/json';
export const GRAPHQL_TYPE = 'application/graphql-response+json';
export const EVENT_STREAM_TYPE = 'text/event-stream';

export type AnswerType = typeof JSON_TYPE | typeof GRAPHQL_TYPE | typeof EVENT_STREAM_TYPE;

/** Ordered by what a caller without a preference gets. */
const OFFERED: AnswerType[] = [JSON_TYPE, GRAPHQL_TYPE, EVENT_STREAM_TYPE];
const remembered = new Map<string, AnswerType | undefined>();
const MAX_REMEMBERED = 100;

/** The media type in which the caller wants the answer, by the q-values of Accept; undefined when we have none of them. */
export function answerTypeOf(request: IncomingMessage): AnswerType | undefined {
  const accept = request.headers.accept;
  if (accept === undefined) return JSON_TYPE;
  if (remembered.has(accept)) return remembered.get(accept);
  const type = new Negotiator(request).mediaType(OFFERED) as AnswerType | undefined;
  // Callers send a handful of different ones; whoever makes up more is served all the same.
  if (remembered.size < MAX_REMEMBERED && accept.length < 300) remembered.set(accept, type);
  return type;
}

/** The type for an answer that is an error whatever was asked for. */
export function errorTypeOf(request: IncomingMessage): typeof JSON_TYPE | typeof GRAPHQL_TYPE {
  return answerTypeOf(request) === GRAPHQL_TYPE ? GRAPHQL_TYPE : JSON_TYPE;
}

/** The essence of Content-Type in lower case, and its charset; undefined when it is missing or malformed. */
export function contentTypeOf(request: IncomingMessage): { type: string; charset: string } | undefined {
  const header = request.headers['content-type'];
  if (header === undefined) return undefined;
  if (header === JSON_TYPE) return { type: JSON_TYPE, charset: 'utf-8' };
  try {
    const { essence, params } = new MIMEType(header);
    return { type: essence, charset: (params.get('charset') ?? 'utf-8').toLowerCase() };
  } catch {
    return undefined;
  }
}

/** A browser that opens the address, also by a link with a query in it. A program may know HTML, but likes JSON better. */
export function wantsPage(request: IncomingMessage): boolean {
  if (!request.headers.accept?.includes('text/html')) return false;
  return new Negotiator(request).mediaType(['text/html', ...OFFERED]) === 'text/html';
}

/** Also a caller who does not care. */
export function acceptsEventStream(request: IncomingMessage): boolean {
  return new Negotiator(request).mediaType([EVENT_STREAM_TYPE]) !== undefined;
}

export function acceptsGzip(request: IncomingMessage): boolean {
  return new Negotiator(request).encoding(['gzip', 'identity']) === 'gzip';
}
