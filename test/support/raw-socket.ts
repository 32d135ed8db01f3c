import { connect, type Socket } from 'node:net';

/** A connection whose bytes the test writes itself. */
export interface RawSocket {
  socket: Socket;
  send(text: string): void;
  /** What has come so far. */
  received(): string;
  /** Resolves once what has come fits the pattern, and rejects when the connection ends before. */
  until(pattern: RegExp): Promise<string>;
  closed: Promise<void>;
  /** Ends the connection with a reset instead of a farewell. */
  reset(): void;
}

export async function openRawSocket(url: string): Promise<RawSocket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let text = '';
  let onChange: () => void = () => undefined;
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    text += chunk;
    onChange();
  });
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let isClosed = false;
  void closed.then(() => {
    isClosed = true;
    onChange();
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    socket,
    send: (bytes) => void socket.write(bytes),
    received: () => text,
    until: (pattern) =>
      new Promise((resolve, reject) => {
        onChange = () => {
          if (pattern.test(text)) resolve(text);
          else if (isClosed) reject(new Error(`The connection ended after: ${text.slice(-500)}`));
        };
        onChange();
      }),
    closed,
    reset: () => void socket.resetAndDestroy(),
  };
}
