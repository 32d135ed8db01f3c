import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeText, exchange, failureText, retryAdvice } from '../src/sync/partner-http.ts';

test.each([
  { encoding: 'gzip', compress: gzipSync },
  { encoding: 'deflate', compress: deflateSync },
])('an answer that comes compressed by $encoding is unpacked', async ({ encoding, compress }) => {
  const text = JSON.stringify({
    lists: Array.from({ length: 1_000 }, (_, id) => ({ id, name: 'Liste für alle' })),
  });
  let accepted: string | string[] | undefined;
  const server = createServer((request, response) => {
    accepted = request.headers['accept-encoding'];
    response.writeHead(200, { 'content-encoding': encoding }).end(compress(text));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const answer = await exchange({ url, method: 'GET', headers: {}, timeoutMs: 10_000, maxBytes: 1e6 });
    expect(answer.status).toBe(200);
    expect(decodeText(answer.body)).toBe(text);
    expect(accepted).toContain(encoding);
  } finally {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  }
});

const broken = (fields: object, message = 'x') => Object.assign(new Error(message), fields);
const AGAIN = ' Try again in a moment.';

test.each<[string, unknown, RegExp, string]>([
  [
    'a name that nobody knows',
    broken({ code: 'ENOTFOUND', hostname: 'mixpanel.con' }),
    /^nobody knows an address for mixpanel\.con \(ENOTFOUND\); check that name, and the DNS/,
    '',
  ],
  [
    'a name server that does not answer',
    broken({ code: 'EAI_AGAIN', hostname: 'mixpanel.com' }),
    /for mixpanel\.com \(EAI_AGAIN\); check/,
    AGAIN,
  ],
  [
    'a port on which nobody listens',
    broken({ code: 'ECONNREFUSED', address: '127.0.0.1', port: 9 }),
    /^nothing answers at 127\.0\.0\.1:9 \(ECONNREFUSED\); check that address/,
    '',
  ],
  [
    'all addresses of a name',
    new AggregateError([broken({ code: 'EHOSTUNREACH', address: '192.0.2.1' })]),
    /^there is no way to 192\.0\.2\.1 \(EHOSTUNREACH\); check the network.*HTTPS_PROXY/,
    '',
  ],
  [
    'a certificate of a proxy',
    new Error('fetch failed', { cause: broken({ code: 'SELF_SIGNED_CERT_IN_CHAIN' }) }),
    /^the certificate is not trusted .*NODE_EXTRA_CA_CERTS$/,
    '',
  ],
  [
    'a connection that broke',
    broken({ code: 'ECONNRESET' }),
    /^the connection failed \(ECONNRESET\)$/,
    AGAIN,
  ],
  ['anything else', 'odd', /^the connection failed$/, AGAIN],
])('what to check is named: %s', (_what, error, text, advice) => {
  expect(failureText(error)).toMatch(text);
  expect(retryAdvice(new Error('Mixpanel: …', { cause: error }))).toBe(advice);
});

/** A proxy that takes every tunnel and answers none, and what it was asked for. */
async function startProxy() {
  const tunnels: string[] = [];
  const server = createServer((request, response) => {
    tunnels.push(request.url ?? '');
    response.end('{}');
  });
  server.on('connect', (request, socket) => {
    tunnels.push(request.url ?? '');
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { tunnels, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

test('partners are reached by way of HTTPS_PROXY, but for what NO_PROXY names and for loopback', async () => {
  const { tunnels, url, server } = await startProxy();
  const script = `
    const { exchange } = await import('./src/sync/partner-http.ts');
    const ask = (url) =>
      exchange({ url, method: 'GET', headers: {}, timeoutMs: 5_000, maxBytes: 1e6 }).catch(() => undefined);
    for (const url of ['https://api.iterable.com/api/lists', 'https://left-out.invalid/', '${url}/direct', 'https://localhost:1/'])
      await ask(url);`;
  await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: join(import.meta.dirname, '..'),
    env: { PATH: process.env.PATH, HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: 'left-out.invalid' },
  });
  server.close();
  // The proxy was asked for itself, not by way of itself: a path and no address.
  expect(tunnels).toEqual(['api.iterable.com:443', '/direct']);
});
