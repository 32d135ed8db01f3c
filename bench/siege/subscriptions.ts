import { setTimeout as sleep } from 'node:timers/promises';
import { openRawWebSocket, type RawWebSocket } from '../support/raw-websocket.ts';
import { inTurns } from './raw-http.ts';
import { atMost, note, type Target, type Told } from './target.ts';

/** Subscriptions without number on one socket. */
export async function manySubscriptions(
  target: Target,
  { subscriptions = 20_000, holdMs = 15_000 } = {},
): Promise<Told> {
  const told: Told = {};
  const socket = await open(target, told);
  for (let index = 0; index < subscriptions; index++) {
    socket?.send({
      id: String(index),
      type: 'subscribe',
      payload: { query: 'subscription { integrationUpdated { id status } }' },
    });
  }
  await sleep(holdMs);
  socket?.destroy();
  return told;
}

/** Sockets without number by one token. */
export async function manySockets(target: Target, { sockets = 1_500, holdMs = 5_000 } = {}): Promise<Told> {
  const told: Told = {};
  const opened: RawWebSocket[] = [];
  await atMost(
    60_000,
    inTurns(sockets, 20, async () => {
      const socket = await open(target, told);
      if (socket) opened.push(socket);
    }),
  );
  await sleep(holdMs);
  for (const socket of opened) socket.destroy();
  return told;
}

/** Undefined when it is refused. Notes each message by its type, and how it was closed. */
async function open(target: Target, told: Told): Promise<RawWebSocket | undefined> {
  let settle: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    settle = resolve;
  });
  try {
    const socket = await openRawWebSocket({
      ...target,
      onMessage(payload) {
        note(told, /"type":"(\w+)"/.exec(payload.toString())?.[1] ?? '?');
        settle();
      },
      onClose(code) {
        note(told, `closed with ${code ?? 'no code'}`);
        settle();
      },
    });
    socket.send({ type: 'connection_init', payload: { authorization: `Bearer ${target.token}` } });
    await answered;
    return socket;
  } catch (error) {
    note(told, (error as Error).message);
    return undefined;
  }
}
