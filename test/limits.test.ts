import { connect } from 'node:net';
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { startTestApp, type TestApp } from './support/test-app.ts';

const MEGABYTE = 1_000_000;

async function onDatabase(app: TestApp, statement: string) {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query(statement);
  await client.end();
}

/** A request whose body comes piece by piece, so that no content-length tells its size. */
async function postInPieces(app: TestApp, body: ReadableStream<Uint8Array>) {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${app.ownerSecret}` },
    body,
    duplex: 'half',
  } as RequestInit);
  return { status: response.status, ...((await response.json()) as object) };
}

const TOO_LARGE = {
  status: 413,
  errors: [
    {
      message: 'The body is larger than 1000000 bytes.',
      extensions: {
        code: 'BAD_USER_INPUT',
        issues: [{ path: ['body'], message: 'must have at most 1000000 bytes.' }],
      },
    },
  ],
};

test('a body of more than a megabyte is refused by its content-length', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { status, errors } = await app.api.send(`{ viewer { role } } #${'x'.repeat(MEGABYTE)}`);
  expect({ status, errors }).toEqual(TOO_LARGE);
});

test('a body without an end is refused once a megabyte of it has come', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  let sentBytes = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = new Uint8Array(64 * 1024).fill(0x20);
      sentBytes += piece.length;
      controller.enqueue(piece);
    },
  });
  expect(await postInPieces(app, endless)).toEqual(TOO_LARGE);
  expect(sentBytes).toBeGreaterThan(MEGABYTE);
});

test('a body in pieces of less than a megabyte is read as any other', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const text = JSON.stringify({ query: `{ viewer { role } } #${'x'.repeat(900_000)}` });
  const bytes = new TextEncoder().encode(text);
  let at = 0;
  const pieces = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at + 50_000));
      at += 50_000;
    },
  });
  expect(await postInPieces(app, pieces)).toEqual({
    status: 200,
    data: { viewer: { role: 'OWNER' } },
  });
});

test('a caller who breaks off in the middle of a body is no fault of the service', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { hostname, port } = new URL(app.url);
  const socket = connect(Number(port), hostname);
  const request = [
    'POST /graphql HTTP/1.1',
    'host: localhost',
    `authorization: Bearer ${app.ownerSecret}`,
    'content-type: application/json',
    'content-length: 1000',
    'expect: 100-continue',
    '',
    '',
  ];
  socket.write(request.join('\r\n'));
  // "Continue" comes when the service waits for the body.
  await new Promise((resolve) => socket.once('data', resolve));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.destroy();
  await closed;
  expect(await app.api.query('{ viewer { role } }')).toEqual({ viewer: { role: 'OWNER' } });
});

test('a WebSocket message of more than a megabyte closes the socket', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const client = app.api.webSocket();
  const values = client.iterate({ query: `{ viewer { role } } #${'x'.repeat(MEGABYTE)}` });
  const printed = vi.spyOn(console, 'error');
  await expect(values.next()).rejects.toMatchObject({ code: 1009 });
  expect(printed.mock.calls).toEqual([]);
  printed.mockRestore();
  const line = app.logs.find(({ msg }) => msg === 'a WebSocket was broken off');
  expect(line).toMatchObject({ level: 20, err: { message: 'Max payload size exceeded' } });
  expect(JSON.stringify(line).length).toBeLessThan(5_000);
});

test('a socket whose token cannot be looked up is closed as a fault of ours, which the log alone tells', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' }, allowFaults: true });
  await onDatabase(app, 'alter table api_tokens rename to api_tokens_gone');
  const printed = vi.spyOn(console, 'error');
  const client = app.api.webSocket();
  const values = client.iterate({ query: '{ viewer { role } }' });
  await expect(values.next()).rejects.toMatchObject({
    code: 4500,
    reason: expect.stringMatching(/^Unexpected error\./),
  });
  expect(printed.mock.calls).toEqual([]);
  printed.mockRestore();
  expect(app.logs.filter((line) => line.level === 50)).toMatchObject([
    { err: { message: expect.stringContaining('api_tokens') } },
  ]);
  await onDatabase(app, 'alter table api_tokens_gone rename to api_tokens');
  expect(await app.api.query('{ viewer { role } }')).toEqual({ viewer: { role: 'OWNER' } });
});

test.each([
  { title: 'nested a hundred thousand deep', query: `${'{a'.repeat(100_000)}` },
  {
    title: 'of thirty thousand aliases',
    query: `{ ${Array.from({ length: 30_000 }, (_, n) => `a${n}: __typename`).join(' ')} }`,
  },
])('a document $title is too complex, by HTTP and by WebSocket', async ({ query }) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  expect((await app.api.fail(query)).extensions.code).toBe('QUERY_TOO_COMPLEX');
  const client = app.api.webSocket();
  const refused = new Promise((resolve) => {
    client.subscribe({ query }, { next: resolve, error: resolve, complete: () => undefined });
  });
  expect(await refused).toMatchObject([{ extensions: { code: 'QUERY_TOO_COMPLEX' } }]);
  await client.dispose();
});
