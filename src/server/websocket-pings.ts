import type { WebSocket, WebSocketServer } from 'ws';

/** A socket that does not answer a ping until the next one is dead. Each second a twelfth of the sockets is pinged. */
const ROUNDS = 12;
const INTERVAL_MS = 1_000;

export interface Pings {
  add(socket: WebSocket): void;
  stop(): void;
}

/** Finds out which sockets are dead without saying so, with one timer for all of them. */
export function createPings(sockets: WebSocketServer): Pings {
  const alive = new WeakSet<WebSocket>();
  const rounds = new WeakMap<WebSocket, number>();
  let added = 0;
  let round = 0;

  /** One for all of them. */
  function noteAlive(this: WebSocket) {
    alive.add(this);
  }

  const timer = setInterval(() => {
    round = (round + 1) % ROUNDS;
    for (const socket of sockets.clients) {
      if (rounds.get(socket) !== round || socket.readyState !== socket.OPEN) continue;
      if (alive.delete(socket)) socket.ping();
      else socket.terminate();
    }
  }, INTERVAL_MS);

  return {
    add(socket) {
      alive.add(socket);
      rounds.set(socket, added++ % ROUNDS);
      socket.on('pong', noteAlive);
    },
    stop: () => clearInterval(timer),
  };
}
