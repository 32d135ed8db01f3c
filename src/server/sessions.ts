import type { Viewer } from '../context.ts';

/** setTimeout takes no more. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** What tokens have opened and keep open: sockets, event streams and uploads. They close with the token. */
export interface Sessions {
  /** Gives a function that forgets the session again. */
  open(viewer: Viewer, expiresAt: Date | null, close: () => void): () => void;
  /** The same for a socket, which is counted. */
  openSocket(viewer: Viewer, expiresAt: Date | null, close: () => void): () => void;
  countSockets(tokenId: string): number;
  closeToken(tokenId: string): void;
  /** Tokens that have something open. */
  tokenIds(): string[];
}

export function createSessions(now: () => Date): Sessions {
  const byToken = new Map<string, Set<() => void>>();
  const revoked = new Set<string>();
  const sockets = new Map<string, number>();

  const sessions: Sessions = {
    open(viewer, expiresAt, close) {
      const closers = byToken.get(viewer.tokenId) ?? new Set();
      byToken.set(viewer.tokenId, closers.add(close));
      const lifeMs = expiresAt
        ? Math.max(0, expiresAt.getTime() - now().getTime())
        : Number.POSITIVE_INFINITY;
      const timer = lifeMs <= MAX_TIMEOUT_MS ? setTimeout(close, lifeMs) : undefined;
      timer?.unref();
      // Revoked after it was looked up and before it came here: nobody will tell us again.
      if (revoked.has(viewer.tokenId)) queueMicrotask(close);
      return () => {
        clearTimeout(timer);
        closers.delete(close);
        if (closers.size === 0 && byToken.get(viewer.tokenId) === closers) byToken.delete(viewer.tokenId);
      };
    },
    openSocket(viewer, expiresAt, close) {
      const { tokenId } = viewer;
      sockets.set(tokenId, sessions.countSockets(tokenId) + 1);
      const forget = sessions.open(viewer, expiresAt, close);
      let isOpen = true;
      return () => {
        forget();
        if (!isOpen) return;
        isOpen = false;
        const rest = sessions.countSockets(tokenId) - 1;
        if (rest === 0) sockets.delete(tokenId);
        else sockets.set(tokenId, rest);
      };
    },
    countSockets: (tokenId) => sockets.get(tokenId) ?? 0,
    closeToken(tokenId) {
      revoked.add(tokenId);
      for (const close of [...(byToken.get(tokenId) ?? [])]) close();
    },
    tokenIds: () => [...byToken.keys()],
  };
  return sessions;
}
