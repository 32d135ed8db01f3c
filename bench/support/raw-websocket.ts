import { connect, type Socket } from 'node:net';

const TEXT = 1;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
const HEAD_END = Buffer.from('\r\n\r\n');

export interface RawWebSocket {
  send(message: object): void;
  /** Reads nothing until it is resumed. */
  pause(): void;
  resume(): void;
  destroy(): void;
}

export interface RawWebSocketOptions {
  url: string;
  /** An address of this machine to call from; undefined: the usual one. */
  from?: string | undefined;
  /** Into this everything is read, one socket after the other; it may be shared. */
  buffer?: Buffer;
  /** Of the payload nothing is kept: it is good until this returns. */
  onMessage: (payload: Buffer) => void;
  /** The code of the other side's goodbye; undefined: it went without one. */
  onClose: (code: number | undefined, reason: string) => void;
}

/**
 * A WebSocket of the protocol graphql-transport-ws with as little as will do: thousands of whole clients would cost more
 * than the service spends on them. Resolves when it is open; throws when the upgrade is refused.
 */
export function openRawWebSocket({
  url,
  from,
  buffer = Buffer.alloc(64 * 1024),
  onMessage,
  onClose,
}: RawWebSocketOptions): Promise<RawWebSocket> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    let isOpen = false;
    let rest: Buffer | undefined;
    let close: { code: number; reason: string } | undefined;
    const socket: Socket = connect({
      port: Number(port),
      host: hostname,
      noDelay: true,
      ...(from ? { localAddress: from } : {}),
      onread: {
        buffer,
        callback(length) {
          take(rest ? Buffer.concat([rest, buffer.subarray(0, length)]) : buffer.subarray(0, length));
          return true;
        },
      },
    });
    const opened: RawWebSocket = {
      send: (message) => void socket.write(frameOf(TEXT, Buffer.from(JSON.stringify(message)))),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      destroy: () => void socket.destroy(),
    };

    function take(data: Buffer): void {
      let at = isOpen ? 0 : readHead(data);
      for (let frame = isOpen ? readFrame(data, at) : undefined; frame; frame = readFrame(data, at)) {
        at = frame.end;
        if (frame.kind === TEXT) onMessage(frame.payload);
        else if (frame.kind === PING) socket.write(frameOf(PONG, frame.payload));
        else if (frame.kind === CLOSE && frame.payload.length >= 2) {
          close = { code: frame.payload.readUInt16BE(), reason: frame.payload.toString('utf8', 2) };
          socket.end();
        }
      }
      // A copy, because the buffer is read into again.
      rest = data.length > at ? Buffer.from(data.subarray(at)) : undefined;
    }

    /** Returns where it ends; 0 while it has not come whole. */
    function readHead(data: Buffer): number {
      const end = data.indexOf(HEAD_END);
      if (end < 0) return 0;
      const head = data.toString('latin1', 0, end);
      if (head.startsWith('HTTP/1.1 101')) {
        isOpen = true;
        resolve(opened);
      } else {
        reject(new Error(head.split('\r\n')[0]));
        socket.destroy();
      }
      return end + HEAD_END.length;
    }

    socket.on('error', reject);
    socket.on('close', () => {
      reject(new Error('The connection was closed before it was a WebSocket.'));
      if (isOpen) onClose(close?.code, close?.reason ?? '');
    });
    socket.write(
      [
        'GET /graphql HTTP/1.1',
        'Host: localhost',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: Y29ob3J0LXN5bmMtYmVuYw==',
        'Sec-WebSocket-Protocol: graphql-transport-ws',
        '\r\n',
      ].join('\r\n'),
    );
  });
}

/** Undefined while it has not come whole. */
function readFrame(data: Buffer, at: number): { kind: number; payload: Buffer; end: number } | undefined {
  if (data.length < at + 2) return undefined;
  const short = data[at + 1]! & 127;
  const headLength = short === 127 ? 10 : short === 126 ? 4 : 2;
  if (data.length < at + headLength) return undefined;
  const length =
    short === 127 ? Number(data.readBigUInt64BE(at + 2)) : short === 126 ? data.readUInt16BE(at + 2) : short;
  const end = at + headLength + length;
  if (data.length < end) return undefined;
  return { kind: data[at]! & 15, payload: data.subarray(at + headLength, end), end };
}

/** Whole and masked, as clients must; a mask of zeros changes nothing. */
function frameOf(kind: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14);
  head[0] = 128 | kind;
  head[1] = 128 | (length < 126 ? length : length < 65_536 ? 126 : 127);
  if (length >= 65_536) head.writeBigUInt64BE(BigInt(length), 2);
  else if (length >= 126) head.writeUInt16BE(length, 2);
  return Buffer.concat([head, payload]);
}
