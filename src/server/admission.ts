import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  MAX_HELD_BYTES,
  MAX_HELD_BYTES_PER_TOKEN,
  MAX_REQUESTS,
  MAX_REQUESTS_PER_SOCKET,
  MAX_REQUESTS_PER_TOKEN,
} from './bounds.ts';
import { overloaded, rateLimited } from './refusal.ts';

export interface Admission {
  /** Counts a request until it is over. Throws RefusalError when its socket, or everybody together, has too many. */
  enter(request: IncomingMessage, response: ServerResponse): void;
  /** The same for a token. */
  enterToken(tokenId: string, response: ServerResponse): void;
  /** False when nothing more is to be read from the socket: its caller was told to slow down and is cut off. */
  isOpen(socket: Socket): boolean;
  /**
   * Makes room for a body that comes or an answer that goes, and returns the function to be called once it is over. Throws
   * RefusalError when too much is held for the token or for all.
   */
  reserveBytes(tokenId: string, bytes: number): () => void;
}

/** How many requests are under way, and how many bytes they hold: bodies that come, answers that are not read. */
export function createAdmission(): Admission {
  const bySocket = new WeakMap<Socket, number>();
  const closed = new WeakSet<Socket>();
  const byToken = new Map<string, { requests: number; heldBytes: number }>();
  let requests = 0;
  let heldBytes = 0;

  function tokenOf(tokenId: string) {
    let token = byToken.get(tokenId);
    if (!token) {
      token = { requests: 0, heldBytes: 0 };
      byToken.set(tokenId, token);
    }
    return token;
  }

  function tidy(tokenId: string, token: { requests: number; heldBytes: number }) {
    if (token.requests === 0 && token.heldBytes === 0) byToken.delete(tokenId);
  }

  return {
    enter({ socket }, response) {
      const own = (bySocket.get(socket) ?? 0) + 1;
      bySocket.set(socket, own);
      requests++;
      response.once('close', () => {
        requests--;
        bySocket.set(socket, bySocket.get(socket)! - 1);
      });
      if (own > MAX_REQUESTS_PER_SOCKET) {
        // The requests behind this one have been parsed already; they are dropped with the connection.
        closed.add(socket);
        socket.pause();
        // Node reads on as soon as an earlier request is over, and would keep whatever comes.
        socket.resume = () => socket;
        throw rateLimited('Too many requests of this connection are under way.', 1, { closes: true });
      }
      if (requests > MAX_REQUESTS) throw overloaded('Too many requests are under way.');
    },
    enterToken(tokenId, response) {
      const token = tokenOf(tokenId);
      token.requests++;
      response.once('close', () => {
        token.requests--;
        tidy(tokenId, token);
      });
      if (token.requests > MAX_REQUESTS_PER_TOKEN)
        throw rateLimited('Too many requests with this token are under way.', 1);
    },
    isOpen: (socket) => !closed.has(socket),
    reserveBytes(tokenId, bytes) {
      const token = tokenOf(tokenId);
      if (token.heldBytes > 0 && token.heldBytes + bytes > MAX_HELD_BYTES_PER_TOKEN)
        throw rateLimited('Too many bytes of this token are under way. Read earlier answers first.', 1);
      if (heldBytes > 0 && heldBytes + bytes > MAX_HELD_BYTES)
        throw overloaded('Too many bytes are under way.');
      token.heldBytes += bytes;
      heldBytes += bytes;
      let isRead = false;
      return () => {
        if (isRead) return;
        isRead = true;
        token.heldBytes -= bytes;
        heldBytes -= bytes;
        tidy(tokenId, token);
      };
    },
  };
}
