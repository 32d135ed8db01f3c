import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { openRawSocket } from './support/raw-socket.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const gateway = (env: Record<string, string> = {}) => startTestApp({ env: { ROLES: 'gateway', ...env } });

const VIEWER = '{ viewer { role } }';

function post(app: TestApp, query: string, token = app.ownerSecret): string {
  const body = JSON.stringify({ query });
  return [
    'POST /graphql HTTP/1.1',
    'host: localhost',
    `authorization: Bearer ${token}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    '',
    body,
  ].join('\r\n');
}

async function expectAlive(app: TestApp) {
  expect(await app.api.query(VIEWER)).toEqual({ viewer: { role: 'OWNER' } });
}

/** Statuses of the answers on a connection. */
const statusesIn = (text: string) => [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status);

test.each(['websocket', 'x', 'h2c'])(
  'a request for an upgrade to %s that is reset at once ends nothing',
  async (protocol) => {
    await using app = await gateway();
    for (let round = 0; round < 20; round++) {
      const socket = await openRawSocket(app.url);
      socket.send(
        `GET /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
      );
      socket.reset();
      await socket.closed;
    }
    await expectAlive(app);
  },
);

test('a request that asks for an upgrade to something else is answered as any other', async () => {
  await using app = await gateway();
  const socket = await openRawSocket(app.url);
  const upgrade =
    'connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA';
  socket.send(`GET /health HTTP/1.1\r\nhost: localhost\r\n${upgrade}\r\n\r\n`);
  expect(await socket.until(/"ok"/)).toMatch(/^HTTP\/1\.1 200/);
  socket.send(post(app, VIEWER).replace('content-type', `${upgrade}\r\ncontent-type`));
  expect(statusesIn(await socket.until(/OWNER/))).toEqual(['200', '200']);
  socket.socket.destroy();
});

test('thousands of pipelined requests for /ready are answered with a look into the database a second', async () => {
  const statements: string[] = [];
  await using app = await startTestApp({
    env: { ROLES: 'gateway' },
    onStatement: (text) => void statements.push(text),
  });
  const before = statements.length;
  const socket = await openRawSocket(app.url);
  const count = 3_000;
  socket.send('GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(count));
  socket.send('GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
  await socket.closed;
  expect(new Set(statusesIn(socket.received())).has('500')).toBe(false);
  expect(statements.length - before).toBeLessThan(50);
  await expectAlive(app);
});

test('one connection has a few requests under way; after that it is told to slow down and cut off', async () => {
  await using app = await gateway();
  const socket = await openRawSocket(app.url);
  socket.send(post(app, VIEWER).repeat(200));
  await socket.closed;
  const statuses = statusesIn(socket.received());
  expect(statuses.slice(0, 10)).toEqual(Array(10).fill('200'));
  expect(statuses.at(-1)).toBe('429');
  expect(statuses.length).toBeLessThan(60);
  expect(socket.received()).toMatch(/retry-after: 1\r\n/i);
  expect(socket.received()).toContain('"code":"RATE_LIMITED"');
  await expectAlive(app);
});

test('wrong tokens cost a look-up each at the most, and their address has to slow down after a while', async () => {
  const statements: string[] = [];
  await using app = await startTestApp({
    env: { ROLES: 'gateway' },
    onStatement: (text) => void statements.push(text),
  });
  await expectAlive(app);
  const before = statements.length;
  const as = async (token: string) => (await app.as(token).send(VIEWER)).status;
  for (let round = 0; round < 20; round++) expect(await as('x'.repeat(43))).toBe(401);
  expect(await as('no token at all!')).toBe(401);
  expect(statements.length - before).toBe(1);
  const statuses: number[] = [];
  for (let round = 0; round < 140; round++) statuses.push(await as(`${round}`.padStart(43, 'y')));
  expect(statuses.slice(0, 100)).toEqual(Array(100).fill(401));
  expect(statuses.at(-1)).toBe(429);
  expect(statements.length - before).toBeLessThan(125);
  // A token that was good before goes on being so, from the same address.
  await expectAlive(app);
});

test('documents that are new are bounded in the time they take', async () => {
  await using app = await gateway();
  const big = (round: number) => `{ ${'viewer { role } '.repeat(900)} } # ${round}`;
  const other = await makeToken(app, 'CONSUMER');
  const codes: unknown[] = [];
  for (let round = 0; round < 200 && codes.at(-1) !== 'RATE_LIMITED'; round++) {
    const { status, errors } = await app.api.send(big(round));
    codes.push(errors?.[0]?.extensions.code);
    if (codes.at(-1) === 'RATE_LIMITED') expect(status).toBe(429);
  }
  expect(codes.at(-1)).toBe('RATE_LIMITED');
  // Others are not touched.
  expect((await other.api.send('{ viewer { tokenName } }')).status).toBe(200);
});

test('a WebSocket may have a hundred operations open, and a token a thousand sockets or what is set', async () => {
  await using app = await gateway({ MAX_SOCKETS_PER_TOKEN: '3' });
  const open = async () => {
    const socket = new WebSocket(`${app.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
    await new Promise((resolve) => socket.once('open', resolve));
    const answered = new Promise<string>((resolve) => {
      socket.once('message', (data) => resolve(String(data)));
      socket.once('close', (code, reason) => resolve(`${code} ${reason}`));
    });
    socket.send(
      JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${app.ownerSecret}` } }),
    );
    return { socket, answer: await answered };
  };
  const sockets = [await open(), await open(), await open()];
  for (const { answer } of sockets) expect(answer).toBe('{"type":"connection_ack"}');
  expect((await open()).answer).toBe('4429 Too many sockets of this token are open.');

  const { socket } = sockets[0]!;
  const closed = new Promise<string>((resolve) =>
    socket.once('close', (code, reason) => resolve(`${code} ${reason}`)),
  );
  for (let id = 0; id <= 101; id++) {
    const payload = { query: 'subscription { syncRunUpdated { id } }' };
    socket.send(JSON.stringify({ id: String(id), type: 'subscribe', payload }));
  }
  expect(await closed).toBe('4429 More than 100 operations are open on this socket.');
  for (const one of sockets) one.socket.terminate();
  await expectAlive(app);
});

test('introspection costs, so that one request cannot ask for it over and over', async () => {
  await using app = await gateway();
  const schema = '__schema { types { name fields { name } } }';
  expect((await app.api.send(`{ ${schema} }`)).errors).toBeUndefined();
  const many = Array.from({ length: 50 }, (_, index) => `a${index}: ${schema}`).join(' ');
  expect((await app.api.fail(`{ ${many} }`)).extensions.code).toBe('QUERY_TOO_COMPLEX');
});

test.each(['[::', 'a b', '%%', '::1', 'exa mple:x'])(
  'a host header of "%s" tells nobody how the service is built',
  async (host) => {
    await using app = await gateway();
    for (const accept of ['application/json', 'text/event-stream', 'text/html']) {
      const socket = await openRawSocket(app.url);
      const request = post(app, VIEWER).replace(
        'host: localhost',
        `host: ${host}\r\naccept: ${accept}\r\nconnection: close`,
      );
      socket.send(request);
      await socket.closed;
      expect(socket.received()).not.toMatch(/node_modules|at .*\.(ts|js):\d+|file:\/\//);
      expect(socket.received()).toMatch(/^HTTP\/1\.1 [24]/);
    }
    await expectAlive(app);
  },
);

test('a request whose target is a whole address is answered', async () => {
  await using app = await gateway();
  const socket = await openRawSocket(app.url);
  socket.send(`GET ${app.url}/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n`);
  await socket.closed;
  expect(socket.received()).toMatch(/^HTTP\/1\.1 200/);
});

test('the bodies of one token that are under way are bounded in bytes', async () => {
  await using app = await gateway();
  const head = post(app, VIEWER)
    .split('\r\n\r\n')[0]!
    .replace(/content-length: \d+/, 'content-length: 900000');
  const sockets = await Promise.all(Array.from({ length: 20 }, () => openRawSocket(app.url)));
  // Each waits for a body that does not come.
  for (const { send } of sockets) send(`${head}\r\nexpect: 100-continue\r\n\r\n`);
  const answers = await Promise.all(
    sockets.map(({ until }) => until(/HTTP\/1\.1 (100 Continue|429)[\s\S]*\r\n\r\n/)),
  );
  await expect
    .poll(() => sockets.filter(({ received }) => received().includes('RATE_LIMITED')).length)
    .toBeGreaterThan(5);
  expect(answers).toHaveLength(20);
  await expectAlive(app);
  for (const { socket } of sockets) socket.destroy();
});

test('a subscription keeps no large message', async () => {
  await using app = await gateway();
  const client = app.api.webSocket();
  const refused = new Promise((resolve) => {
    client.subscribe(
      { query: `subscription { syncRunUpdated { id } } # ${'x'.repeat(70_000)}` },
      { next: resolve, error: resolve, complete: () => undefined },
    );
  });
  expect(await refused).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  await client.dispose();
});
