import type { SandboxRequest } from '../http.ts';
import { RefusedQueryError } from './refused-query.ts';

/** Parameters of the Query API come in the query, a form or JSON. Throws RefusedQueryError. */
export function readParams(request: SandboxRequest): URLSearchParams {
  const params = new URLSearchParams(request.query);
  if (request.body.trim() === '') return params;
  if (!request.headers['content-type']?.includes('json')) {
    for (const [name, value] of new URLSearchParams(request.body)) params.set(name, value);
    return params;
  }
  const given = parseParam('the request body', request.body);
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new RefusedQueryError('the request body must be a JSON object');
  }
  for (const [name, value] of Object.entries(given)) {
    if (value !== null) params.set(name, typeof value === 'string' ? value : JSON.stringify(value));
  }
  return params;
}

/** JSON of a parameter. Throws RefusedQueryError. */
export function parseParam(name: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RefusedQueryError(`Invalid JSON Format: ${name}`);
  }
}
