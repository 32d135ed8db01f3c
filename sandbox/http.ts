import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SandboxRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  /** As they came, compressed ones too. */
  bytes: Buffer;
  /** The bytes as text. */
  readonly body: string;
}

export interface SandboxReply {
  status: number;
  headers?: Record<string, string>;
  /** A string goes as it is, anything else as JSON. */
  body: unknown;
}

export interface Listening {
  url: string;
  stop(): Promise<void>;
}

/** More than any partner takes, and than memory should be spent on: the connection is broken off. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** One HTTP server on loopback. handle gets the raw response too, for faults that break the connection. */
export async function listen(
  options: { host: string; port: number },
  handle: (request: SandboxRequest, response: ServerResponse) => Promise<void>,
): Promise<Listening> {
  const server: Server = createServer((incoming, response) => {
    readBytes(incoming)
      .then((bytes) => {
        const url = new URL(incoming.url ?? '/', 'http://sandbox');
        let text: string | undefined;
        return handle(
          {
            method: incoming.method ?? 'GET',
            path: url.pathname,
            query: url.searchParams,
            headers: incoming.headers,
            bytes,
            // Made when somebody asks: what is compressed never becomes text.
            get body() {
              text ??= bytes.toString('utf8');
              return text;
            },
          },
          response,
        );
      })
      .catch((error) => {
        if (!response.headersSent) sendReply(response, { status: 500, body: String(error) });
        else response.destroy();
      });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function sendReply(response: ServerResponse, reply: SandboxReply): void {
  const text = typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body);
  response.writeHead(reply.status, {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(text)),
    ...reply.headers,
  });
  response.end(text);
}

async function readBytes(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming) {
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > MAX_BODY_BYTES) throw new Error('The body is too large.');
  }
  return Buffer.concat(chunks);
}
