import type { Connection } from './websocket-connection.ts';

/** A socket that does not answer a ping until the next one is dead. Each second a twelfth of the sockets is pinged. */
const ROUNDS = 12;
const INTERVAL_MS = 1_000;

export interface Pings {
  add(connection: Connection): void;
  stop(): void;
}

/** Finds out which sockets are dead without saying so, with one timer for all of them. */
export function createPings(sockets: { clients: ReadonlySet<Connection> }): Pings {
  let added = 0;
  let round = 0;

  const timer = setInterval(() => {
    round = (round + 1) % ROUNDS;
    for (const connection of sockets.clients) {
      if (connection.pingRound !== round || connection.readyState !== connection.OPEN) continue;
      if (connection.isAlive) connection.ping();
      else connection.terminate();
      connection.isAlive = false;
    }
  }, INTERVAL_MS);

  return {
    add(connection) {
      connection.pingRound = added++ % ROUNDS;
      connection.on('pong', noteAlive);
    },
    stop: () => clearInterval(timer),
  };
}

/** One for all of them. */
function noteAlive(this: object) {
  (this as Connection).isAlive = true;
}
