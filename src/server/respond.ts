import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import { errorTypeOf, JSON_TYPE } from './negotiate.ts';
import { type RefusalError, toGraphQLError } from './refusal.ts';

/** What every answer says to browsers: take it for what it says it is, show it in no frame, keep it in no cache. */
const SECURITY_HEADERS = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
};

/** Pages set their own Content-Security-Policy afterwards. */
export function setSecurityHeaders(response: ServerResponse): void {
  for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  sendText(response, status, JSON_TYPE, JSON.stringify(body));
}

export function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  text: string | Buffer,
): void {
  response.writeHead(status, {
    'content-type': `${type}; charset=utf-8`,
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** A GraphQL answer without data, in the media type that was asked for. */
export function sendErrors(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  errors: readonly GraphQLError[],
): void {
  sendText(response, status, errorTypeOf(request), JSON.stringify({ errors }));
}

export function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: RefusalError): void {
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  if (refusal.closes) response.setHeader('connection', 'close');
  sendErrors(request, response, refusal.status, [toGraphQLError(refusal)]);
}
