import { once } from 'node:events';
import WebSocket from 'ws';
import type { WatchOptions } from './watchers-process.ts';

/**
 * The process of the watchers. Speaks graphql-transport-ws by hand: a whole client for each of a thousand watchers would
 * cost this process more than the service spends on them.
 */
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

const revisions: number[] = [];
const times: number[] = [];
let finished = 0;
let onFinished: () => void = () => undefined;

async function open(): Promise<WebSocket> {
  const socket = new WebSocket(`${options.url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', {
    perMessageDeflate: false,
  });
  await once(socket, 'open');
  socket.send(
    JSON.stringify({ type: 'connection_init', payload: { authorization: `Bearer ${options.token}` } }),
  );
  await once(socket, 'message');
  return socket;
}

function subscribe(socket: WebSocket, id: string, query: string): void {
  socket.send(
    JSON.stringify({ id, type: 'subscribe', payload: { query, variables: { id: options.runId } } }),
  );
}

async function watch(): Promise<void> {
  const socket = await open();
  const begun = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      const text = data.toString();
      const revision = /"revision":(\d+)/.exec(text)?.[1];
      if (revision !== undefined) {
        revisions.push(Number(revision));
        times.push(performance.timeOrigin + performance.now());
        resolve();
      } else if (text.includes('"complete"')) {
        finished++;
        onFinished();
      } else if (text.includes('"error"')) throw new Error(text);
    });
  });
  subscribe(socket, '1', QUERY);
  await begun;
}

async function stall(): Promise<void> {
  const socket = await open();
  for (let index = 0; index < GREEDY_SUBSCRIPTIONS; index++) subscribe(socket, String(index), GREEDY_QUERY);
  socket.pause();
}

process.on('disconnect', () => process.exit());
process.on('message', async () => {
  while (finished < options.watchers) await new Promise<void>((resolve) => (onFinished = resolve));
  process.send?.({ revisions: Float64Array.from(revisions), times: Float64Array.from(times) });
});

for (let index = 0; index < options.stalled; index++) await stall();
for (let opened = 0; opened < options.watchers; opened += OPENING) {
  await Promise.all(Array.from({ length: Math.min(OPENING, options.watchers - opened) }, watch));
}
process.send?.({ at: performance.timeOrigin + performance.now() });
