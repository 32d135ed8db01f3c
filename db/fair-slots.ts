/** What keeps a caller from waiting: there are too many of them, or it has waited for too long. The work has not begun. */
export class TooManyWaitingError extends Error {
  override readonly name = 'TooManyWaitingError';
}

/** A request needs some statements at a time, and a slot is free again within milliseconds: more than this is a flood. */
const MAX_WAITING_PER_KEY = 200;
/** Of all keys: a waiter costs about 1 kB, and ten connections serve as many statements in about a second. */
const MAX_WAITING = 2_000;
/** As long as a connection may take to be made; whoever waits has an answer by then, and its caller may try again. */
const PATIENCE_MS = 10_000;

export interface FairSlots {
  /**
   * Resolves with the function that gives the slot back, which is to be called once. Without a key it is for the service
   * itself, which is not held to a share. Throws TooManyWaitingError, or the signal's reason when that aborts first.
   */
  take(key: string | undefined, signal?: AbortSignal): Promise<() => void>;
}

interface Waiter {
  begin(): void;
}

interface Holder {
  key: string | undefined;
  maxTaken: number;
  maxWaiting: number;
  taken: number;
  /** In order of arrival. */
  waiting: Waiter[];
}

/**
 * Slots that callers share: no key has more than `perKey` of them, those of one key are served in order of arrival, and a
 * free slot goes to the keys in turn. So what one key asks for keeps no other waiting for longer than a statement takes.
 */
export function createFairSlots(options: {
  slots: number;
  perKey: number;
  maxWaitingPerKey?: number;
  maxWaiting?: number;
  patienceMs?: number;
}): FairSlots {
  const { slots, perKey, patienceMs = PATIENCE_MS } = options;
  const { maxWaitingPerKey = MAX_WAITING_PER_KEY, maxWaiting = MAX_WAITING } = options;
  const holders = new Map<string | undefined, Holder>();
  /** Those who wait and may have one more, in turn. */
  const round = new Set<Holder>();
  let taken = 0;
  let waiting = 0;

  function holderOf(key: string | undefined): Holder {
    const known = holders.get(key);
    if (known) return known;
    const bounds =
      key === undefined
        ? { maxTaken: slots, maxWaiting }
        : { maxTaken: perKey, maxWaiting: maxWaitingPerKey };
    const holder: Holder = { key, ...bounds, taken: 0, waiting: [] };
    holders.set(key, holder);
    return holder;
  }

  function forgetIdle(holder: Holder): void {
    if (holder.taken === 0 && holder.waiting.length === 0) holders.delete(holder.key);
  }

  function grant(holder: Holder): () => void {
    taken++;
    holder.taken++;
    return () => {
      taken--;
      holder.taken--;
      if (holder.waiting.length > 0) round.add(holder);
      forgetIdle(holder);
      serve();
    };
  }

  function serve(): void {
    for (const holder of round) {
      if (taken >= slots) return;
      round.delete(holder);
      const first = holder.waiting[0];
      if (first === undefined) continue;
      first.begin();
      // Behind the others, who wait for their first.
      if (holder.waiting.length > 0 && holder.taken < holder.maxTaken) round.add(holder);
    }
  }

  function wait(holder: Holder, signal: AbortSignal | undefined): Promise<() => void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiting--;
        holder.waiting.splice(holder.waiting.indexOf(waiter), 1);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
      };
      const giveUp = (error: unknown) => {
        leave();
        if (holder.waiting.length === 0) round.delete(holder);
        forgetIdle(holder);
        reject(error);
      };
      const onAbort = () => giveUp(signal!.reason);
      const waiter: Waiter = {
        begin() {
          leave();
          resolve(grant(holder));
        },
      };
      const timer = setTimeout(
        () => giveUp(new TooManyWaitingError(`No database connection was free for ${patienceMs / 1000} s.`)),
        patienceMs,
      );
      signal?.addEventListener('abort', onAbort, { once: true });
      waiting++;
      holder.waiting.push(waiter);
      if (holder.taken < holder.maxTaken) round.add(holder);
    });
  }

  return {
    async take(key, signal) {
      signal?.throwIfAborted();
      const holder = holderOf(key);
      // Whoever waits was there before.
      if (taken < slots && holder.taken < holder.maxTaken && holder.waiting.length === 0)
        return grant(holder);
      if (holder.waiting.length >= holder.maxWaiting || waiting >= maxWaiting) {
        throw new TooManyWaitingError('Too many statements wait for a database connection already.');
      }
      return await wait(holder, signal);
    },
  };
}
