import { once } from 'node:events';
import { type ClientOptions, createClient } from 'graphql-ws';
import { expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { startTestApp, type TestApp } from '../support/test-app.ts';
import { makeToken, revokeToken } from '../support/tokens.ts';

const gateway = () => startTestApp({ env: { ROLES: 'gateway' } });
const address = (app: TestApp) => `${app.url.replace('http', 'ws')}/graphql`;
const WATCH = 'subscription { integrationUpdated { status } }';

/** A WebSocket whose upgrade carries a header, as programs can send it and browsers cannot. */
function webSocketWith(headers: Record<string, string>) {
  return class extends WebSocket {
    constructor(url: string, protocols: string) {
      super(url, protocols, { headers });
    }
  };
}

function connect(app: TestApp, options: Partial<ClientOptions>) {
  return createClient({ url: address(app), webSocketImpl: WebSocket, retryAttempts: 0, ...options });
}

/** The first value of the subscription, or how the socket was closed. */
async function firstOrClose(app: TestApp, options: Partial<ClientOptions>): Promise<unknown> {
  const client = connect(app, options);
  try {
    return (await client.iterate({ query: WATCH }).next()).value;
  } catch (closed) {
    const { code, reason } = closed as { code: number; reason: string };
    return { code, reason };
  } finally {
    await client.dispose();
  }
}

test.each<[string, (authorization: string) => Partial<ClientOptions>]>([
  ['connectionParams.authorization', (authorization) => ({ connectionParams: { authorization } })],
  ['connectionParams.Authorization', (value) => ({ connectionParams: { Authorization: value } })],
  ['connectionParams.headers', (value) => ({ connectionParams: { headers: { Authorization: value } } })],
  ['the header of the upgrade', (value) => ({ webSocketImpl: webSocketWith({ authorization: value }) })],
])('a token is taken from %s, and a wrong one is named by its place', async (_place, optionsOf) => {
  await using app = await gateway();
  expect(await firstOrClose(app, optionsOf(`Bearer ${app.ownerSecret}`))).toEqual({
    data: { integrationUpdated: { status: 'DISCONNECTED' } },
  });
  expect(await firstOrClose(app, optionsOf('Bearer nobody'))).toEqual({
    code: 4403,
    reason: expect.stringMatching(
      /^Forbidden: no valid token in (connectionParams\.(authorization|headers)|the Authorization header); send "Bearer <token>"\.$/,
    ),
  });
});

test('a socket without a token is told where to put it', async () => {
  await using app = await gateway();
  expect(await firstOrClose(app, {})).toEqual({
    code: 4403,
    reason: 'Forbidden: send connectionParams {"authorization":"Bearer <token>"}.',
  });
});

test('a client whose token is revoked is closed with 4403, by which it can tell not to come again', async () => {
  await using app = await gateway();
  const token = await makeToken(app, 'CONSUMER');
  let connections = 0;
  const client = connect(app, {
    connectionParams: { authorization: `Bearer ${token.secret}` },
    retryAttempts: 5,
    retryWait: async () => undefined,
    shouldRetry: (closed) => (closed as CloseEvent).code !== 4403,
    on: { connecting: () => void connections++ },
  });
  const values = client.iterate({ query: WATCH });
  expect((await values.next()).value).toMatchObject({ data: {} });
  await revokeToken(app.api, token.id);
  await expect(values.next()).rejects.toMatchObject({
    code: 4403,
    reason: 'Forbidden: the token is no longer valid.',
  });
  expect(connections).toBe(1);
  await client.dispose();
});

test('a client whose connection breaks connects again and goes on with its subscription', async () => {
  await using app = await gateway();
  const sockets: WebSocket[] = [];
  const client = connect(app, {
    connectionParams: { authorization: `Bearer ${app.ownerSecret}` },
    retryAttempts: 5,
    retryWait: async () => undefined,
    on: { opened: (socket) => void sockets.push(socket as WebSocket) },
  });
  const values = client.iterate({ query: WATCH });
  expect((await values.next()).value).toMatchObject({ data: {} });
  sockets[0]!.terminate();
  expect((await values.next()).value).toMatchObject({ data: {} });
  expect(sockets).toHaveLength(2);
  await client.dispose();
});

/** A socket of no client, and the code with which it is closed. */
async function openRaw(app: TestApp, protocols: string[]) {
  const socket = new WebSocket(address(app), protocols);
  const closed = new Promise<number>((resolve) => socket.on('close', resolve));
  await once(socket, 'open');
  return { socket, closed };
}

test('a socket that speaks no protocol of ours is closed with 4406, whatever it says', async () => {
  await using app = await gateway();
  const { socket, closed } = await openRaw(app, []);
  socket.send('{"type":"connection_init"}');
  expect(await closed).toBe(4406);
  expect(await app.api.query('{ __typename }')).toEqual({ __typename: 'Query' });
});

test('a socket that does not say within ten seconds whose it is is closed with 4408; one that did stays', async () => {
  await using app = await gateway();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const silent = await openRaw(app, ['graphql-transport-ws']);
    const known = await openRaw(app, ['graphql-transport-ws']);
    const payload = { authorization: `Bearer ${app.ownerSecret}` };
    known.socket.send(JSON.stringify({ type: 'connection_init', payload }));
    await once(known.socket, 'message');
    vi.advanceTimersByTime(10_000);
    expect(await silent.closed).toBe(4408);
    known.socket.send('{"type":"ping"}');
    expect(String((await once(known.socket, 'message'))[0])).toBe('{"type":"pong"}');
    known.socket.close();
    await known.closed;
  } finally {
    vi.useRealTimers();
  }
});
