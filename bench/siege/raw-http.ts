import { request } from 'node:http';
import { connect, type Socket } from 'node:net';
import { note, type Target, type Told } from './target.ts';

/** Opens a connection. What goes wrong with it afterwards ends it quietly. */
export function openSocket({ url, from }: Target): Promise<Socket> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { port: Number(port), host: hostname, ...(from ? { localAddress: from } : {}) },
      () => {
        socket.off('error', reject);
        socket.on('error', () => undefined);
        resolve(socket);
      },
    );
    socket.once('error', reject);
  });
}

/** The bytes of a request; its body, if it has one, is JSON unless the headers say otherwise. */
export function requestBytes(
  line: string,
  headers: Record<string, string> = {},
  body: string | Buffer = '',
): Buffer {
  const all: Record<string, string> = {
    host: 'localhost',
    ...(body.length > 0
      ? { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }
      : {}),
    ...headers,
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return Buffer.concat([
    Buffer.from(`${[`${line} HTTP/1.1`, ...head].join('\r\n')}\r\n\r\n`),
    Buffer.from(body),
  ]);
}

/**
 * Writes many requests on one connection without waiting for an answer, and notes the status of each that comes. Resolves
 * when all have come, or the connection was closed.
 */
export async function pipeline(target: Target, request: Buffer, count: number, told: Told): Promise<void> {
  const socket = await openSocket(target);
  let seen = 0;
  await new Promise<void>((resolve) => {
    let rest = '';
    socket.on('data', (chunk) => {
      // A status line may lie across two chunks.
      const text = rest + chunk.toString('latin1');
      const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)];
      for (const [, status] of statuses) note(told, status!);
      seen += statuses.length;
      rest = text.slice((statuses.at(-1)?.index ?? -1) + 1).slice(-12);
      if (seen >= count) resolve();
    });
    socket.on('close', () => {
      if (seen < count) note(told, `closed after ${seen} answers`);
      resolve();
    });
    const BURST = 100;
    const burst = Buffer.concat(Array.from({ length: Math.min(BURST, count) }, () => request));
    let written = 0;
    const write = () => {
      if (written >= count || socket.destroyed) return;
      written += BURST;
      socket.write(burst, write);
    };
    write();
  });
  socket.destroy();
}

/** One request on a connection of its own. Returns its status with the code of its first error, if it has one. */
export function call(
  { url, from }: Target,
  path: string,
  options: { headers?: Record<string, string>; body?: string; signal?: AbortSignal },
): Promise<{ told: string; body: string }> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const sent = request(
      {
        host: hostname,
        port,
        path,
        agent: false,
        method: options.body === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json', ...options.headers },
        ...(from ? { localAddress: from } : {}),
        ...(options.signal ? { signal: options.signal } : {}),
      },
      async (response) => {
        try {
          const chunks: Buffer[] = [];
          for await (const chunk of response) chunks.push(chunk);
          const body = Buffer.concat(chunks).toString();
          const code = /"code":"(\w+)"/.exec(body.slice(0, 100_000))?.[1];
          resolve({ told: `${response.statusCode}${code ? ` ${code}` : ''}`, body });
        } catch (error) {
          reject(error);
        }
      },
    );
    sent.on('error', reject);
    sent.end(options.body);
  });
}

/** A GraphQL operation by POST, as the attacker. What fails is noted too. */
export async function callGraphql(
  target: Target,
  body: { query: string; variables?: object; operationName?: string },
  told?: Told,
): Promise<string> {
  const headers = { authorization: `Bearer ${target.token}` };
  const answer = await call(target, '/graphql', { headers, body: JSON.stringify(body) }).then(
    (answered) => answered.told,
    (error: NodeJS.ErrnoException) => error.code ?? error.message,
  );
  if (told) note(told, answer);
  return answer;
}

/** Does it so often, with so many at a time. */
export async function inTurns(
  count: number,
  atOnce: number,
  act: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(atOnce, count) }, async () => {
      while (next < count) await act(next++);
    }),
  );
}
