import { CohortSyncError } from '../errors.ts';

/** Somebody who waits for an answer, and may stop waiting. */
export interface Caller {
  /** Registers what to do when the caller goes before the answer has come; gives the function that takes it back. */
  onLeft(leave: () => void): () => void;
}

interface Round<T> {
  callers: number;
  controller: AbortController;
  answer: Promise<T>;
}

/**
 * Computes an answer once for all who ask for the same while an earlier one is under way: they share the next. Nobody is told
 * what was so before they asked. A round that all its callers have left is aborted.
 */
export function createSharedAnswers<T>(): {
  join(key: string, caller: Caller, compute: (controller: AbortController) => Promise<T>): Promise<T>;
} {
  const current = new Map<string, Round<T>>();
  const next = new Map<string, Round<T>>();

  function start(
    key: string,
    compute: (controller: AbortController) => Promise<T>,
    after: Promise<unknown> | undefined,
  ): Round<T> {
    const controller = new AbortController();
    const round: Round<T> = { callers: 0, controller, answer: Promise.resolve() as Promise<T> };
    const begin = () => {
      if (next.get(key) === round) next.delete(key);
      if (controller.signal.aborted) throw controller.signal.reason;
      current.set(key, round);
      return compute(controller);
    };
    if (!after) current.set(key, round);
    round.answer = (after ? after.then(begin, begin) : begin()).finally(() => {
      if (current.get(key) === round) current.delete(key);
    });
    // Those who have left do not hear of a failure.
    round.answer.catch(() => undefined);
    return round;
  }

  return {
    join(key, caller, compute) {
      const underWay = current.get(key);
      let round = underWay ? next.get(key) : undefined;
      if (!round) {
        round = start(key, compute, underWay?.answer);
        if (underWay) next.set(key, round);
      }
      const joined = round;
      joined.callers++;
      const stay = caller.onLeft(() => {
        if (--joined.callers === 0)
          joined.controller.abort(new CohortSyncError('RATE_LIMITED', 'The caller has gone.'));
      });
      return joined.answer.finally(stay);
    },
  };
}
