import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { decodeText, exchange } from '../src/sync/partner-http.ts';

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
