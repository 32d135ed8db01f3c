import { expect, test } from 'vitest';
import { startAnother } from './support/another-app.ts';
import type { ApiClient } from './support/api-client.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const VIEWER = '{ viewer { tokenName } }';
const MUTATION = 'mutation { pauseExport(exportId: "none") { id } }';

const gateway = (env: Record<string, string>) => startTestApp({ env: { ROLES: 'gateway', ...env } });

function ask(app: TestApp, { token = app.ownerSecret, headers = {} } = {}) {
  return fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}`, ...headers },
    body: JSON.stringify({ query: VIEWER }),
  });
}

/** What a WebSocket answers: the code of the only error, or undefined. */
async function codeOverWebSocket(api: ApiClient, query: string): Promise<unknown> {
  const client = api.webSocket();
  try {
    const { value } = await client.iterate({ query }).next();
    return value?.errors?.[0]?.extensions?.code;
  } catch (errors) {
    return (errors as { extensions: { code: string } }[])[0]?.extensions.code;
  } finally {
    await client.dispose();
  }
}

test('a token has so many requests a minute, is told how many are left and when to come again', async () => {
  await using app = await gateway({ RATE_LIMIT_PER_TOKEN: '5' });
  const other = await makeToken(app, 'CONSUMER');
  const remaining: (string | null)[] = [];
  for (let round = 0; round < 4; round++) {
    const answer = await ask(app);
    expect([answer.status, answer.headers.get('ratelimit-limit')]).toEqual([200, '5']);
    remaining.push(answer.headers.get('ratelimit-remaining'));
    expect(Number(answer.headers.get('ratelimit-reset'))).toBeGreaterThan(0);
    await answer.body?.cancel();
  }
  expect(remaining).toEqual(['3', '2', '1', '0']);

  const refused = await ask(app);
  const { errors } = JSON.parse(await refused.text());
  const seconds = Number(refused.headers.get('retry-after'));
  expect(refused.status).toBe(429);
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  expect(errors).toEqual([
    {
      message: `Too many requests with this token. Try again in ${seconds} s.`,
      extensions: { code: 'RATE_LIMITED', retryAfterSeconds: seconds },
    },
  ]);
  expect(Object.fromEntries(refused.headers)).toMatchObject({
    'ratelimit-limit': '5',
    'ratelimit-remaining': '0',
    'ratelimit-reset': String(seconds),
  });
  // Another token of the same project and address has its own.
  expect((await other.api.send(VIEWER)).status).toBe(200);
});

test('operations over WebSocket and event streams count as requests of their token', async () => {
  await using app = await gateway({ RATE_LIMIT_PER_TOKEN: '3' });
  const watched = await app.api.sse('subscription { integrationUpdated { status } }').next();
  expect(watched.value.integrationUpdated.status).toBe('DISCONNECTED');
  expect(await codeOverWebSocket(app.api, VIEWER)).toBeUndefined();
  expect(await codeOverWebSocket(app.api, VIEWER)).toBeUndefined();
  expect(await codeOverWebSocket(app.api, VIEWER)).toBe('RATE_LIMITED');
  expect((await ask(app)).status).toBe(429);
});

test('an address has so many requests a minute, whoever they are from', async () => {
  await using app = await gateway({ RATE_LIMIT_PER_ADDRESS: '3' });
  const statuses: number[] = [];
  for (const token of [app.ownerSecret, 'nobody', app.ownerSecret, app.ownerSecret]) {
    statuses.push((await ask(app, { token })).status);
  }
  expect(statuses).toEqual([200, 401, 200, 429]);
  const refused = await fetch(`${app.url}/health`);
  expect([refused.status, Number(refused.headers.get('retry-after')) > 0]).toEqual([429, true]);
  const opened = await app.api
    .webSocket()
    .iterate({ query: VIEWER })
    .next()
    .then(
      () => 'opened',
      () => 'refused',
    );
  expect(opened).toBe('refused');
});

test('behind a trusted proxy the address is the one that the proxy saw, and nothing that the caller made up', async () => {
  await using app = await gateway({ RATE_LIMIT_PER_ADDRESS: '2', TRUSTED_PROXIES: '1' });
  const from = async (forwarded: string) =>
    (await ask(app, { headers: { 'x-forwarded-for': forwarded } })).status;
  expect([await from('192.0.2.1'), await from('10.0.0.9, 192.0.2.1'), await from('192.0.2.1')]).toEqual([
    200, 200, 429,
  ]);
  expect(await from('192.0.2.2')).toBe(200);
  // Some proxies add the port, which is another one for each connection.
  expect([await from('192.0.2.3:5001'), await from('192.0.2.3:5002'), await from('192.0.2.3')]).toEqual([
    200, 200, 429,
  ]);
  // One caller with IPv6 has a whole network of addresses.
  const caller = ['2001:db8:0:1::1', '2001:db8:0:1::2', '[2001:db8:0:1:ffff::]:80'];
  expect([await from(caller[0]!), await from(caller[1]!), await from(caller[2]!)]).toEqual([200, 200, 429]);
});

test('mutations of a token are counted over all processes and transports; queries go on', async () => {
  await using app = await gateway({ RATE_LIMIT_MUTATIONS_PER_TOKEN: '4' });
  const other = await makeToken(app, 'ADMIN');
  await using second = await startAnother(app);
  const codeOf = async (api: ApiClient) => (await api.fail(MUTATION)).extensions.code;
  expect([await codeOf(app.api), await codeOf(second.api)]).toEqual(['NOT_FOUND', 'NOT_FOUND']);
  expect(await codeOverWebSocket(second.api, MUTATION)).toBe('NOT_FOUND');
  for (const api of [app.api, second.api]) {
    expect(await codeOverWebSocket(api, MUTATION)).toBe('RATE_LIMITED');
    const { status, errors } = await api.send(MUTATION);
    expect([status, errors![0]!.extensions]).toEqual([
      429,
      { code: 'RATE_LIMITED', retryAfterSeconds: expect.any(Number) },
    ]);
    expect((await api.send(VIEWER)).status).toBe(200);
  }
  expect(await codeOf(other.api)).toBe('NOT_FOUND');
});
