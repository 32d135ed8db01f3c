import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  MAX_REQUESTS,
  MAX_REQUESTS_PER_SOCKET,
  MAX_REQUESTS_PER_TOKEN,
  MAX_UNREAD_BYTES,
  MAX_UNREAD_BYTES_PER_TOKEN,
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
   * Makes room for an answer, and returns the function to be called once it is read. Throws RefusalError when too much is
   * unread.
   */
  reserveAnswer(tokenId: string, bytes: number): () => void;
}

/** How many requests are under way and how much of what was answered is unread. */
export function createAdmission(): Admission {
  const bySocket = new WeakMap<Socket, number>();
  const closed = new WeakSet<Socket>();
  const byToken = new Map<string, { requests: number; unreadBytes: number }>();
  let requests = 0;
  let unreadBytes = 0;

  function tokenOf(tokenId: string) {
    let token = byToken.get(tokenId);
    if (!token) {
      token = { requests: 0, unreadBytes: 0 };
      byToken.set(tokenId, token);
    }
    return token;
  }

  function tidy(tokenId: string, token: { requests: number; unreadBytes: number }) {
    if (token.requests === 0 && token.unreadBytes === 0) byToken.delete(tokenId);
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
    reserveAnswer(tokenId, bytes) {
      const token = tokenOf(tokenId);
      if (token.unreadBytes > 0 && token.unreadBytes + bytes > MAX_UNREAD_BYTES_PER_TOKEN)
        throw rateLimited('Read the answers to earlier requests first.', 1);
      if (unreadBytes > 0 && unreadBytes + bytes > MAX_UNREAD_BYTES)
        throw overloaded('Too many answers wait to be read.');
      token.unreadBytes += bytes;
      unreadBytes += bytes;
      let isRead = false;
      return () => {
        if (isRead) return;
        isRead = true;
        token.unreadBytes -= bytes;
        unreadBytes -= bytes;
        tidy(tokenId, token);
      };
    },
  };
}
