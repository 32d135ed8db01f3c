import type { SandboxReply } from '../http.ts';

const HEADERS = { server: 'iterable-ingress sandbox', 'request-time': '7', vary: 'Origin' };

export function ok(body: unknown): SandboxReply {
  return { status: 200, body, headers: HEADERS };
}

export function text(body: string): SandboxReply {
  return { status: 200, body, headers: { ...HEADERS, 'content-type': 'text/plain' } };
}

export function refuse(status: number, code: string, msg: string, params: unknown = null): SandboxReply {
  return { status, body: { msg, code, params }, headers: HEADERS };
}

export function badParams(msg: string): SandboxReply {
  return refuse(400, 'BadParams', msg);
}

export function refuseEmail(email: string): SandboxReply {
  return refuse(400, 'InvalidEmailAddressError', `Invalid email: ${email}`);
}

export function done(msg = ''): SandboxReply {
  return refuse(200, 'Success', msg);
}

export function tooMany(endpoint: string, projectId: number, waitMs: number): SandboxReply {
  return refuse(
    429,
    'RateLimitExceeded',
    `Exceeded rate limit for endpoint: ${endpoint}, project: ${projectId} `,
    {
      rateLimitReset: Math.ceil(waitMs / 1000),
    },
  );
}

/** code "Success" on a 400 is what Iterable really says. */
export function invalidListId(projectId: number, listId: number): SandboxReply {
  return refuse(400, 'Success', `error.lists.invalidListId(${listId})`, { projectId, listId });
}

export function htmlNotFound(): SandboxReply {
  return {
    status: 404,
    body: '<!DOCTYPE html><html><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>',
    headers: { ...HEADERS, 'content-type': 'text/html' },
  };
}
