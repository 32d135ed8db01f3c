import type { MessagingFilingRow } from '../../db/messaging-tables.ts';

export type FilingPlan =
  /** Its second try ended as the first did. */
  | { kind: 'SET_ASIDE'; id: string; aloneUntil: string }
  | { kind: 'FILE'; firstId: string; lastId: string; isAlone: boolean; aloneUntil: string | null };

/**
 * What to do next with the oldest events of an inbox. After a batch that was begun and never finished each of its events is
 * tried alone; one that does not survive that either is set aside. Pure.
 */
export function planFiling(
  ids: readonly [string, ...string[]],
  previous: Pick<MessagingFilingRow, 'first_id' | 'last_id' | 'is_alone' | 'alone_until'> | undefined,
): FilingPlan {
  const [firstId] = ids;
  const isUnfinished = previous?.first_id != null;
  const aloneUntil = latest(previous?.alone_until ?? null, isUnfinished ? previous.last_id : null);
  if (isUnfinished && previous.is_alone && previous.first_id === firstId) {
    return { kind: 'SET_ASIDE', id: firstId, aloneUntil: aloneUntil! };
  }
  const isAlone = aloneUntil !== null && BigInt(firstId) <= BigInt(aloneUntil);
  return {
    kind: 'FILE',
    firstId,
    lastId: isAlone ? firstId : ids.at(-1)!,
    isAlone,
    aloneUntil: isAlone ? aloneUntil : null,
  };
}

function latest(left: string | null, right: string | null): string | null {
  if (left === null || right === null) return left ?? right;
  return BigInt(left) > BigInt(right) ? left : right;
}
