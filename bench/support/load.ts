import { connect, type Socket } from 'node:net';
import type { Load, LoadReport } from './load-process.ts';
import { percentile } from './results.ts';

/**
 * The process of the callers. Ready bytes out, and as little of what comes in is looked at as will do: what it costs, the
 * servers on the same cores cannot have.
 */
const HEAD_END = Buffer.from('\r\n\r\n');
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n');
const ERRORS = Buffer.from('"errors"');

interface Tally {
  latencies: number[];
  firstBytes: number[];
  bytes: number;
}

function run({ url, requests, connections, seconds }: Load): Promise<LoadReport> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const ready = requests.map((text) => Buffer.from(text));
    const tally: Tally = { latencies: [], firstBytes: [], bytes: 0 };
    const sockets: Socket[] = [];
    let sent = 0;
    let cpu = process.cpuUsage();
    let begunAt = performance.now();
    const next = () => ready[sent++ % ready.length]!;
    let open = 0;
    const isOver = () => performance.now() - begunAt >= seconds * 1000;
    const finish = (socket: Socket) => {
      socket.destroy();
      if (--open > 0) return;
      const elapsed = (performance.now() - begunAt) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      resolve({
        requests: tally.latencies.length,
        seconds: elapsed,
        p50: percentile(tally.latencies, 50),
        p99: percentile(tally.latencies, 99),
        firstByteP50: percentile(tally.firstBytes, 50),
        bytes: tally.bytes / tally.latencies.length,
        cpuSeconds: (user + system) / 1_000_000,
      });
    };
    const fail = (error: Error) => {
      for (const socket of sockets) socket.destroy();
      reject(error);
    };
    const begin = () => {
      cpu = process.cpuUsage();
      begunAt = performance.now();
      for (const socket of sockets) call(socket, { next, isOver, finish, fail, tally });
    };
    for (let index = 0; index < connections; index++) {
      const socket = connect(Number(port), hostname, () => {
        if (++open === connections) begin();
      });
      socket.setNoDelay(true);
      socket.on('error', fail);
      sockets.push(socket);
    }
  });
}

/** One request after the other on this connection, until the time is over. */
function call(
  socket: Socket,
  load: {
    next: () => Buffer;
    isOver: () => boolean;
    finish: (socket: Socket) => void;
    fail: (error: Error) => void;
    tally: Tally;
  },
): void {
  const { tally } = load;
  let sentAt = 0;
  let received = 0;
  /** Of the whole answer; undefined: it comes in chunks. */
  let length: number | undefined;
  let head = '';
  const send = () => {
    received = 0;
    length = undefined;
    sentAt = performance.now();
    socket.write(load.next());
  };
  socket.on('data', (chunk) => {
    if (received === 0) {
      tally.firstBytes.push(performance.now() - sentAt);
      const end = chunk.indexOf(HEAD_END);
      head = chunk.toString('latin1', 0, end);
      const bodyLength = /content-length: (\d+)/i.exec(head)?.[1];
      if (bodyLength !== undefined) length = end + HEAD_END.length + Number(bodyLength);
    }
    received += chunk.length;
    // Over quickly when all is well: only the first piece of an answer says that it failed.
    if (!head.startsWith('HTTP/1.1 200') || chunk.indexOf(ERRORS) >= 0) {
      load.fail(new Error(`An answer failed: ${chunk.toString().slice(0, 1_000)}`));
      return;
    }
    const isWhole =
      length === undefined ? chunk.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK) : received >= length;
    if (!isWhole) return;
    tally.latencies.push(performance.now() - sentAt);
    tally.bytes += received;
    if (load.isOver()) load.finish(socket);
    else send();
  });
  socket.on('end', () => load.fail(new Error(`A connection was closed after ${head || 'no answer at all'}`)));
  send();
}

process.on('disconnect', () => process.exit());
process.on('message', (load: Load) => {
  run(load).then(
    (report) => process.send?.({ report }),
    (error: Error) => process.send?.({ error: error.message }),
  );
});
