import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { startTestApp, type TestApp } from './support/test-app.ts';

const APP = 'https://app.example.com';
const gateway = (env: Record<string, string> = {}) => startTestApp({ env: { ROLES: 'gateway', ...env } });

const preflight = (app: TestApp, origin: string) =>
  fetch(`${app.url}/graphql`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type',
    },
  });

const ask = (app: TestApp, headers: Record<string, string>) =>
  fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${app.ownerSecret}`, ...headers },
    body: JSON.stringify({ query: '{ viewer { role } }' }),
  });

/** The status of the upgrade, or 101. */
function connect(app: TestApp, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    headers,
  });
  return new Promise((resolve) => {
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('unexpected-response', (_request, response) => resolve(response.statusCode ?? 0));
    socket.on('error', () => undefined);
  });
}

test('pages of other origins may not read answers unless CORS_ORIGINS names them', async () => {
  await using app = await gateway();
  const answer = await preflight(app, APP);
  expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([204, null]);
  expect((await ask(app, { origin: APP })).headers.get('access-control-allow-origin')).toBeNull();
});

test('a page of a known origin asks first, without a token, and may then read answers, errors and limits', async () => {
  await using app = await gateway({ CORS_ORIGINS: `${APP}, http://localhost:5173` });
  const allowed = await preflight(app, APP);
  expect(allowed.status).toBe(204);
  expect(Object.fromEntries(allowed.headers)).toMatchObject({
    'access-control-allow-origin': APP,
    'access-control-allow-methods': 'GET, POST, OPTIONS',
    'access-control-allow-headers': 'authorization,content-type',
    vary: 'Origin',
  });
  const further: Record<string, string>[] = [
    {},
    { accept: 'text/event-stream' },
    { authorization: 'Bearer wrong' },
  ];
  for (const headers of further) {
    const answer = await ask(app, { origin: APP, ...headers });
    expect(answer.headers.get('access-control-allow-origin')).toBe(APP);
    expect(answer.headers.get('access-control-expose-headers')).toContain('retry-after');
    await answer.body?.cancel();
  }
  expect(
    (await preflight(app, 'https://evil.example')).headers.get('access-control-allow-origin'),
  ).toBeNull();
});

test('the same list says which pages may open a WebSocket; the own origin and what is no page always may', async () => {
  await using app = await gateway({ CORS_ORIGINS: APP, PUBLIC_URL: 'https://sync.example.com/cohorts' });
  const statuses: Record<string, number> = {};
  for (const origin of [APP, app.url, 'https://sync.example.com', 'https://evil.example', 'null']) {
    statuses[origin] = await connect(app, { origin });
  }
  expect(statuses).toEqual({
    [APP]: 101,
    [app.url]: 101,
    'https://sync.example.com': 101,
    'https://evil.example': 403,
    null: 403,
  });
  expect(await connect(app, {})).toBe(101);
});

test('every answer says that it is what it says it is, in no frame and in no cache', async () => {
  await using app = await gateway();
  for (const path of ['/', '/health', '/ready', '/nowhere', '/graphql?query=%7B__typename%7D']) {
    const { headers } = await fetch(`${app.url}${path}`, {
      headers: { authorization: `Bearer ${app.ownerSecret}` },
    });
    expect([path, headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
    expect([path, headers.get('referrer-policy')]).toEqual([path, 'no-referrer']);
    expect([path, headers.get('cache-control')]).toEqual([path, expect.stringContaining('no-')]);
    expect([path, headers.get('content-security-policy')]).toEqual([
      path,
      expect.stringContaining("frame-ancestors 'none'"),
    ]);
  }
});
