import { gunzipSync } from 'node:zlib';
import type { ValidateFunction } from 'ajv';
import type { SandboxReply, SandboxRequest } from '../../sandbox/http.ts';
import { type Body, findOperation, type Operation } from './operations.ts';

/** What the document of the partner says otherwise than a request. */
export function checkRequest(request: SandboxRequest): string[] {
  const { method, path, query, headers, bytes } = request;
  const operation = findOperation(method, path);
  if (!operation) return [`${method} ${path} is in no document`];
  const { name, bodies, isBodyRequired } = operation;
  const found = [
    ...compare(operation.query, toObject(query), `query of ${name}`),
    ...compare(operation.places, toPlaces(operation, path), `path of ${name}`),
  ];
  if (bytes.length === 0) return isBodyRequired ? [...found, `${name} has no body`] : found;
  const mediaType = readMediaType(headers['content-type']);
  const body = bodies.find((one) => one.mediaType === mediaType);
  if (!body) return [...found, `${name} takes no body of type ${mediaType}`];
  try {
    const content = headers['content-encoding'] === 'gzip' ? gunzipSync(bytes).toString() : request.body;
    return [...found, ...compareBody(body, content, `body of ${name}`)];
  } catch {
    return [...found, `body of ${name} is not gzip`];
  }
}

/** What the document of the partner says otherwise than an answer. It has no say in what it does not have. */
export function checkReply({ method, path }: SandboxRequest, reply: SandboxReply): string[] {
  const operation = findOperation(method, path);
  if (!operation) return [];
  const { status, headers = {}, body } = reply;
  const subject = `answer ${status} of ${operation.name}`;
  const answers = operation.answers.get(status);
  if (!answers) return [`${subject} is not documented`];
  const mediaType = readMediaType(headers['content-type'] ?? 'application/json');
  const answer = answers.find((one) => one.mediaType === mediaType);
  if (!answer) return [`${subject} has the type ${mediaType}`];
  return compareBody(answer, body, subject);
}

function readMediaType(contentType: string | undefined): string {
  return (contentType ?? 'none').split(';')[0]!.trim().toLowerCase();
}

/** A text is what came or goes over the line; everything else, what a line of JSON is made of. */
function compareBody({ mediaType, validate }: Body, content: unknown, subject: string): string[] {
  if (!validate) return [];
  if (typeof content !== 'string' || mediaType === 'text/plain') return compare(validate, content, subject);
  if (mediaType.includes('form')) return compare(validate, toObject(new URLSearchParams(content)), subject);
  try {
    return compare(validate, JSON.parse(content), subject);
  } catch {
    return [`${subject} is not JSON`];
  }
}

function compare(validate: ValidateFunction, value: unknown, subject: string): string[] {
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    const { additionalProperty, allowedValues } = params as Record<string, unknown>;
    const more = additionalProperty ?? allowedValues;
    return `${subject}: ${instancePath} ${message}${more === undefined ? '' : ` (${JSON.stringify(more)})`}`;
  });
}

function toPlaces(operation: Operation, path: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(operation.readPath(path) ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]),
  );
}

function toObject(params: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(params.keys())].map((name) => {
      const values = params.getAll(name);
      return [name, values.length === 1 ? values[0]! : values];
    }),
  );
}
