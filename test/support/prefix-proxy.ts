import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A proxy that shows a service below a path, and nothing elsewhere. */
export async function startPrefixProxy(target: string, prefix: string) {
  const server = createServer((asked, answer) => {
    if (!asked.url?.startsWith(`${prefix}/`)) return void answer.writeHead(404).end();
    const passed = request(`${target}${asked.url.slice(prefix.length)}`, {
      method: asked.method,
      headers: asked.headers,
    });
    passed.on('response', (response) => {
      answer.writeHead(response.statusCode!, response.rawHeaders);
      // Server-sent events are not to wait for a body.
      answer.flushHeaders();
      response.on('error', () => answer.destroy());
      response.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    answer.on('close', () => passed.destroy());
    asked.pipe(passed);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
