import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/** A caller on a connection of its own, that sends what no client library would. */
export interface RawCaller extends Disposable {
  socket: Socket;
  send(text: string): void;
  /** What has come by the time that it matches, or that the service closes the connection. */
  until(expected: RegExp): Promise<string>;
  /** Everything, once the service has closed the connection. */
  untilClosed(): Promise<string>;
}

export async function openRaw(url: string): Promise<RawCaller> {
  const { port, hostname } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
  });
  const next = () =>
    new Promise<void>((resolve) => {
      const done = () => {
        socket.off('data', done).off('close', done);
        resolve();
      };
      socket.on('data', done).on('close', done);
    });
  return {
    socket,
    send: (sent) => void socket.write(sent),
    async until(expected) {
      while (!isClosed && !expected.test(text)) await next();
      return text;
    },
    async untilClosed() {
      while (!isClosed) await next();
      return text;
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** The head of a POST, as a client would write it. */
export function headOf(path: string, headers: Record<string, string | number>): string {
  const lines = Object.entries({ host: 'localhost', ...headers }).map((header) => header.join(': '));
  return `POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}
