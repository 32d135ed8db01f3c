import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GraphQLError } from 'graphql';
import { sendEarly } from './body.ts';
import { errorTypeOf, JSON_TYPE } from './negotiate.ts';
import { type RefusalError, toGraphQLError } from './refusal.ts';

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

/** A GraphQL answer without data, in the media type that was asked for; whether or not the body has come. */
export function sendErrors(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  errors: readonly GraphQLError[],
): void {
  sendEarly(request, response, {
    status,
    headers: { 'content-type': `${errorTypeOf(request)}; charset=utf-8` },
    text: JSON.stringify({ errors }),
  });
}

export function sendRefusal(request: IncomingMessage, response: ServerResponse, refusal: RefusalError): void {
  for (const [name, value] of Object.entries(refusal.headers)) response.setHeader(name, value);
  if (refusal.closes) response.setHeader('connection', 'close');
  sendErrors(request, response, refusal.status, [toGraphQLError(refusal)]);
}
