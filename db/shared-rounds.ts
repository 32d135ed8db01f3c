/** Somebody who waits for an answer, and may stop waiting. */
export interface Caller {
  /** Registers what to do when the caller goes before the answer has come; gives the function that takes it back. */
  onLeft(leave: () => void): () => void;
}

interface Round<T> {
  callers: number;
  /** Undefined once it is over: V8 keeps what was in a map, and what that leads to, longer than the entry. */
  underWay: { controller: AbortController; answer: Promise<T> } | undefined;
}

/**
 * Computes an answer once for all who ask for the same while an earlier one is under way: they share the next. Nobody is told
 * what was so before they asked. A round that all its callers have left is aborted.
 */
export function createSharedRounds<T>(whyNobodyWaits: () => Error): {
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
    const round: Round<T> = { callers: 0, underWay: undefined };
    const begin = () => {
      if (next.get(key) === round) next.delete(key);
      if (controller.signal.aborted) throw controller.signal.reason;
      current.set(key, round);
      return compute(controller);
    };
    if (!after) current.set(key, round);
    const answer = (after ? after.then(begin, begin) : begin()).finally(() => {
      if (current.get(key) === round) current.delete(key);
      round.underWay = undefined;
    });
    // Those who have left do not hear of a failure.
    answer.catch(() => undefined);
    round.underWay = { controller, answer };
    return round;
  }

  return {
    join(key, caller, compute) {
      const before = current.get(key);
      let round = before ? next.get(key) : undefined;
      if (!round) {
        round = start(key, compute, before?.underWay?.answer);
        if (before) next.set(key, round);
      }
      const joined = round;
      const { answer } = joined.underWay!;
      joined.callers++;
      const stay = caller.onLeft(() => {
        if (--joined.callers === 0) joined.underWay?.controller.abort(whyNobodyWaits());
      });
      return answer.finally(stay);
    },
  };
}
