/** setTimeout takes no more. */
const MAX_TIMEOUT_MS = 2_147_483_647;

/** Something that a token has opened and keeps open: a socket, an event stream or an upload. */
export interface Session {
  readonly tokenId: string;
  readonly isSocket?: boolean;
  /** Ends it, because the token is no longer valid. */
  revoke(): void;
}

/** What tokens keep open. It closes with the token. */
export interface Sessions {
  /** Until it is deleted. */
  add(session: Session, expiresAt: Date | null): void;
  delete(session: Session): void;
  countSockets(tokenId: string): number;
  closeToken(tokenId: string): void;
  /** Tokens that have something open. */
  tokenIds(): string[];
}

interface OfToken {
  sessions: Set<Session>;
  sockets: number;
}

export function createSessions(now: () => Date): Sessions {
  const byToken = new Map<string, OfToken>();
  const expiries = new Map<Session, NodeJS.Timeout>();
  const revoked = new Set<string>();

  return {
    add(session, expiresAt) {
      const { tokenId } = session;
      const open = byToken.get(tokenId) ?? { sessions: new Set(), sockets: 0 };
      byToken.set(tokenId, open);
      open.sessions.add(session);
      if (session.isSocket) open.sockets++;
      const lifeMs = expiresAt
        ? Math.max(0, expiresAt.getTime() - now().getTime())
        : Number.POSITIVE_INFINITY;
      if (lifeMs <= MAX_TIMEOUT_MS) expiries.set(session, setTimeout(() => session.revoke(), lifeMs).unref());
      // Revoked after it was looked up and before it came here: nobody will tell us again.
      if (revoked.has(tokenId)) queueMicrotask(() => session.revoke());
    },
    delete(session) {
      const open = byToken.get(session.tokenId);
      if (!open?.sessions.delete(session)) return;
      clearTimeout(expiries.get(session));
      expiries.delete(session);
      if (session.isSocket) open.sockets--;
      if (open.sessions.size === 0) byToken.delete(session.tokenId);
    },
    countSockets: (tokenId) => byToken.get(tokenId)?.sockets ?? 0,
    closeToken(tokenId) {
      revoked.add(tokenId);
      for (const session of [...(byToken.get(tokenId)?.sessions ?? [])]) session.revoke();
    },
    tokenIds: () => [...byToken.keys()],
  };
}
