const HOUR_MS = 3_600_000;

/** An export as it is to be spread: not due before wishAt, and for so many queries. */
export interface SpreadWish {
  exportId: number;
  wishAt: Date;
  queries: number;
}

/** What is known of a Mixpanel project now. */
export interface SpreadState {
  now: Date;
  /** When the queries of the runs within the last hour were sent, the oldest first. */
  sentAt: readonly Date[];
  /** Runs that wait for a query. */
  inLine: number;
  /** None is due before; null: since long ago. */
  nextScheduledAt: Date | null;
  heldUntil: Date | null;
}

export interface DueRun {
  at: Date;
  /** The next of the others is not due before. */
  nextAt: Date;
}

/** A beat that came late is made up for; a longer pause is not, lest all come at once afterwards. */
const LATE_MS = 2_000;

/**
 * When each export is due while they take turns: in the order of their wishes, one after the other at even distances, and
 * not before the hour has a query for it. Pure.
 */
export function spreadRuns(
  wishes: readonly SpreadWish[],
  state: SpreadState,
  forRuns: number,
): Map<number, DueRun> {
  const gapMs = HOUR_MS / forRuns;
  const now = state.now.getTime();
  const sent = state.sentAt.map((at) => at.getTime());
  const send = (fromMs: number): number => {
    const leaving = sent[sent.length - forRuns];
    const at = leaving === undefined ? fromMs : Math.max(fromMs, leaving + HOUR_MS);
    sent.push(at);
    return at;
  };
  const heldUntil = Math.max(now, state.heldUntil?.getTime() ?? 0);
  for (let run = 0; run < state.inLine; run++) send(heldUntil);
  const due = new Map<number, DueRun>();
  let nextAt = state.nextScheduledAt?.getTime() ?? 0;
  const inTurn = wishes.toSorted(
    (a, b) => a.wishAt.getTime() - b.wishAt.getTime() || a.exportId - b.exportId,
  );
  for (const { exportId, wishAt, queries } of inTurn) {
    const earliest = Math.max(wishAt.getTime(), nextAt);
    const isLate = earliest < now - Math.max(LATE_MS, gapMs);
    const at = send(Math.max(isLate ? now : earliest, state.heldUntil?.getTime() ?? 0));
    for (let further = 1; further < queries; further++) send(at);
    nextAt = at + queries * gapMs;
    due.set(exportId, { at: new Date(at), nextAt: new Date(nextAt) });
  }
  return due;
}
