import { setTimeout as sleep } from 'node:timers/promises';
import { openRawWebSocket, type RawWebSocket } from './raw-websocket.ts';
import type { WatchOptions } from './watchers-process.ts';

/** The process of some watchers. It looks into a snapshot for its revision only. */
const options: WatchOptions = JSON.parse(process.argv[2]!);
const QUERY = `subscription ($id: ID!) { syncProgress(runId: $id) {
  id status phase progress revision startedAt finishedAt notices error { code message }
  counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent }
} }`;
/** Enough of it that no buffer of the system's holds what one who does not read is sent. */
const GREEDY_QUERY = `subscription ($id: ID!) { syncProgress(runId: $id) { ${Array.from(
  { length: 100 },
  (_, index) =>
    `a${index}: counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent }`,
).join(' ')} } }`;
const GREEDY_SUBSCRIPTIONS = 20;
/** Sockets that are being opened at once. */
const OPENING = 50;
/** A service that is not up to it is found out about in some minutes. */
const CONNECT_PATIENCE_MS = 120_000;
const END_PATIENCE_MS = 30_000;

const ACK = Buffer.from('"connection_ack"');
const REVISION = Buffer.from('"revision":');
const COMPLETE = Buffer.from('"complete"');
const buffer = Buffer.alloc(64 * 1024);

const revisions: number[] = [];
const times: number[] = [];
/** Of each watcher: the newest revision it has. */
const newest = new Float64Array(options.watchers).fill(-1);
let over = 0;
let lost = 0;
let firstLoss: string | undefined;
let onOver: () => void = () => undefined;

function subscribe(socket: RawWebSocket, id: string, query: string): void {
  socket.send({ id, type: 'subscribe', payload: { query, variables: { id: options.runId } } });
}

const tokenOf = (index: number) => options.tokens[index % options.tokens.length]!;

async function open(
  token: string,
  onMessage: (payload: Buffer) => void,
  onClose: (why: string) => void,
): Promise<RawWebSocket> {
  let onAck: () => void = () => undefined;
  const acknowledged = new Promise<void>((resolve) => {
    onAck = resolve;
  });
  const socket = await openRawWebSocket({
    url: options.url,
    buffer,
    onMessage(payload) {
      if (payload.indexOf(ACK) >= 0) onAck();
      else onMessage(payload);
    },
    onClose(code, reason) {
      onClose(`closed with ${code ?? 'no code'} ${reason}`);
      onAck();
    },
  });
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } });
  await acknowledged;
  return socket;
}

/** Resolves with the first snapshot, or when the watcher is lost. */
function watch(index: number): Promise<void> {
  return new Promise((resolve) => {
    let isOver = false;
    const end = (why?: string) => {
      if (isOver) return;
      isOver = true;
      if (why !== undefined) {
        lost++;
        firstLoss ??= why;
      }
      over++;
      onOver();
      resolve();
    };
    const onMessage = (payload: Buffer) => {
      const at = payload.indexOf(REVISION);
      if (at >= 0) {
        const revision = Number.parseInt(payload.toString('latin1', at + REVISION.length, at + 30), 10);
        // The first snapshot is as old as the last change, and is not late for that.
        if (newest[index] !== -1) {
          revisions.push(revision);
          times.push(performance.timeOrigin + performance.now());
        }
        newest[index] = revision;
        resolve();
      } else if (payload.indexOf(COMPLETE) >= 0) end();
      else end(payload.toString());
    };
    open(tokenOf(index), onMessage, end).then(
      (socket) => subscribe(socket, '1', QUERY),
      (error: Error) => end(error.message),
    );
  });
}

async function stall(index: number): Promise<void> {
  const socket = await open(
    tokenOf(index),
    () => undefined,
    () => undefined,
  );
  for (let index = 0; index < GREEDY_SUBSCRIPTIONS; index++) subscribe(socket, String(index), GREEDY_QUERY);
  socket.pause();
}

process.on('disconnect', () => process.exit());
process.on('message', async () => {
  const everybody = new Promise<void>((resolve) => {
    onOver = () => over >= options.watchers && resolve();
    onOver();
  });
  await Promise.race([everybody, sleep(END_PATIENCE_MS)]);
  process.send?.({
    revisions: Float64Array.from(revisions),
    times: Float64Array.from(times),
    newest,
    lost,
    firstLoss,
    cpuSeconds: process.cpuUsage().user / 1e6 + process.cpuUsage().system / 1e6,
  });
});

for (let index = 0; index < options.stalled; index++) await stall(index);
let next = 0;
const connecting = Promise.all(
  Array.from({ length: OPENING }, async () => {
    while (next < options.watchers) await watch(next++);
  }),
);
await Promise.race([connecting, sleep(CONNECT_PATIENCE_MS)]);
next = options.watchers;
process.send?.({ at: performance.timeOrigin + performance.now() });
