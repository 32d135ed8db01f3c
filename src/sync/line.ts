import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TurnAnswer } from '../../db/queries/pacer.ts';

/** Where turns come from: those that all processes share, or those of this one alone. */
export interface Turns {
  /** lateMs: how much later than granted the latest one began. */
  take(underWay: number, lateMs: number): Promise<TurnAnswer>;
  tell(underWay: number): Promise<void>;
  hold(holdMs: number): Promise<void>;
}

/** One that takes turns, in the round with others. */
export interface Taker {
  turnsTaken: number;
}

export interface Turn {
  /** The request has been answered. Doing it twice is fine. */
  end(): void;
}

/** Where the runs of this process wait for their turns of one pace. */
export interface Line {
  /** Resolves when the turn has begun. Rejects with the signal's reason, or with what the database threw. */
  take(taker: Taker, signal: AbortSignal): Promise<Turn>;
  /** The partner refused a request as one too many: everybody pauses, in all processes. */
  hold(holdMs: number): Promise<void>;
}

interface Waiter {
  begin(): void;
  fail(error: unknown): void;
}

/** How often turns under way are told again; after ten seconds they would count as over. */
const TELL_INTERVAL_MS = 3_000;

/**
 * One turn at a time is asked for, and only when it has come it is decided whose it is: in the round, and every other time
 * whoever has had the fewest. So a small run is soon through, however many large ones there are and however much they want.
 */
export function createLine(options: {
  turns: Turns;
  /** Turns of this process under way at a time. */
  concurrency: number;
  logger: Logger;
}): Line {
  const { turns, concurrency, logger } = options;
  const waiting = new Map<Taker, Waiter[]>();
  let underWay = 0;
  /** As far as the others know; undefined: they think that we wait. */
  let told: number | undefined = 0;
  let isServing = false;
  let isForFewest = false;
  let lateMs = 0;
  let nap: AbortController | undefined;
  let telling: NodeJS.Timeout | undefined;

  async function serve() {
    if (isServing) return;
    isServing = true;
    try {
      for (;;) {
        if (waiting.size > 0 && underWay < concurrency) await serveNext();
        else if (told !== underWay) await tell();
        else break;
      }
    } catch (error) {
      for (const waiter of [...waiting.values()].flat()) waiter.fail(error);
      waiting.clear();
    } finally {
      isServing = false;
    }
  }

  async function serveNext() {
    const before = underWay;
    const askedAt = performance.now();
    const { isGranted, waitMs } = await turns.take(before, lateMs);
    told = isGranted ? before + 1 : undefined;
    // The decision was made somewhere between question and answer.
    const dueAt = (askedAt + performance.now()) / 2 + waitMs;
    await sleep(dueAt - performance.now());
    if (!isGranted) return;
    lateMs = Math.max(0, performance.now() - dueAt);
    takeNext()?.begin();
  }

  /** Ends early when nobody waits any more. */
  async function sleep(delayMs: number) {
    if (delayMs < 1 || waiting.size === 0) return;
    nap = new AbortController();
    await wait(delayMs, undefined, { signal: nap.signal }).catch(() => undefined);
  }

  /** Untold, they end by themselves a little later. */
  async function tell() {
    told = underWay;
    await turns
      .tell(underWay)
      .catch((error) => logger.warn({ err: error }, 'could not tell how many requests are under way'));
  }

  function takeNext(): Waiter | undefined {
    isForFewest = !isForFewest;
    const takers = [...waiting.keys()];
    const taker = isForFewest
      ? takers.reduce((fewest, other) => (other.turnsTaken < fewest.turnsTaken ? other : fewest), takers[0]!)
      : takers[0];
    const [next, ...others] = waiting.get(taker!) ?? [];
    if (!next) return undefined;
    taker!.turnsTaken++;
    waiting.delete(taker!);
    if (others.length > 0) waiting.set(taker!, others);
    return next;
  }

  function leave(taker: Taker, waiter: Waiter) {
    const others = waiting.get(taker)?.filter((one) => one !== waiter) ?? [];
    if (others.length > 0) waiting.set(taker, others);
    else waiting.delete(taker);
    if (waiting.size === 0) nap?.abort();
  }

  function beginTurn(): Turn {
    underWay++;
    telling ??= setInterval(() => {
      told = undefined;
      void serve();
    }, TELL_INTERVAL_MS).unref();
    let isOver = false;
    return {
      end() {
        if (isOver) return;
        isOver = true;
        underWay--;
        if (underWay === 0) {
          clearInterval(telling);
          telling = undefined;
        }
        void serve();
      },
    };
  }

  return {
    take(taker, signal) {
      return new Promise((resolve, reject) => {
        signal.throwIfAborted();
        const onAbort = () => {
          leave(taker, waiter);
          reject(signal.reason);
        };
        const settle = (act: () => void) => {
          signal.removeEventListener('abort', onAbort);
          act();
        };
        const waiter: Waiter = {
          begin: () => settle(() => resolve(beginTurn())),
          fail: (error) => settle(() => reject(error)),
        };
        signal.addEventListener('abort', onAbort, { once: true });
        waiting.set(taker, [...(waiting.get(taker) ?? []), waiter]);
        void serve();
      });
    },
    async hold(holdMs) {
      await turns
        .hold(holdMs)
        .catch((error) =>
          logger.warn({ err: error }, 'could not write down that a partner asks for a pause'),
        );
    },
  };
}
