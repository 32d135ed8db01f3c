import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { type BodyError, readBody, sendEarly } from '../src/server/body.ts';
import { headOf, openRaw } from './support/raw-http.ts';
import { startTestApp } from './support/test-app.ts';

const QUERY = JSON.stringify({ query: '{ viewer { role } }' });
const gateway = () => startTestApp({ env: { ROLES: 'gateway' } });

async function post(app: { url: string; ownerSecret: string }, body: Buffer, encoding: string) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${app.ownerSecret}`,
      'content-type': 'application/json',
      'content-encoding': encoding,
    },
    body: new Uint8Array(body),
  });
  const { data, errors } = (await response.json()) as {
    data?: unknown;
    errors?: { message: string; extensions: { code: string } }[];
  };
  return { status: response.status, data, code: errors?.[0]?.extensions.code, message: errors?.[0]?.message };
}

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const)('a body may be packed as %s', async (encoding, pack) => {
  await using app = await gateway();
  expect(await post(app, pack(QUERY), encoding)).toMatchObject({
    status: 200,
    data: { viewer: { role: 'OWNER' } },
  });
  const large = await post(app, pack(`{"query":"${' '.repeat(1_000_000)}"}`), encoding);
  expect(large).toMatchObject({ status: 413, code: 'BAD_USER_INPUT' });
  const broken = await post(app, pack(QUERY).subarray(0, 20), encoding);
  expect(broken).toMatchObject({
    status: 400,
    code: 'BAD_USER_INPUT',
    message: expect.stringContaining(encoding),
  });
});

test('a body that is packed in a way we do not know is 415', async () => {
  await using app = await gateway();
  for (const encoding of ['zstd', 'gzip, br', 'constructor']) {
    expect(await post(app, Buffer.from(QUERY), encoding)).toMatchObject({
      status: 415,
      code: 'BAD_USER_INPUT',
    });
  }
});

test('an answer reaches a caller who goes on sending a body that nobody wants, and then the connection ends', async () => {
  await using app = await gateway();
  using caller = await openRaw(app.url);
  caller.send(headOf('/graphql', { 'content-length': 50_000_000, 'content-type': 'application/json' }));
  const sending = setInterval(() => caller.send('x'.repeat(10_000)), 5);
  const answer = await caller.until(/UNAUTHENTICATED/);
  clearInterval(sending);
  expect(answer).toMatch(/^HTTP\/1\.1 401 .*\r\nconnection: close\r\n/is);
  caller.socket.end();
  await caller.untilClosed();
});

test('a connection is kept when the body that nobody wants is small', async () => {
  await using app = await gateway();
  using caller = await openRaw(app.url);
  const request =
    headOf('/graphql', { 'content-length': QUERY.length, 'content-type': 'application/json' }) + QUERY;
  caller.send(request);
  expect(await caller.until(/UNAUTHENTICATED/)).not.toMatch(/connection: close/i);
  caller.send(request);
  expect(await caller.until(/UNAUTHENTICATED.*UNAUTHENTICATED/s)).toMatch(
    /UNAUTHENTICATED.*UNAUTHENTICATED/s,
  );
});

test('a body that drips in is broken off with 408', async () => {
  const server = createServer(async (request, response) => {
    const read = readBody(request, { maxBytes: 1_000, deadlineMs: 300 });
    const error = await read.then(
      () => undefined,
      (thrown: BodyError) => thrown,
    );
    sendEarly(request, response, {
      status: error?.status ?? 200,
      headers: {},
      text: error?.message ?? 'whole',
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  using caller = await openRaw(`http://127.0.0.1:${port}`);
  caller.send(headOf('/', { 'content-length': 1_000 }));
  const dripping = setInterval(() => caller.send('x'), 20);
  expect(await caller.until(/whole/)).toMatch(/^HTTP\/1\.1 408 .*connection: close.*not whole in 0\.3 s/is);
  clearInterval(dripping);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
