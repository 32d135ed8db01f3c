/** Snapshots for one watcher who may read slowly: of each thing only the newest is kept, and none comes out of order. */
export interface Mailbox<T> extends AsyncIterableIterator<T> {
  put(snapshot: T): void;
  /** What is in it is still delivered; then the iteration ends. */
  finish(): void;
}

export function createMailbox<T>(options: {
  keyOf: (snapshot: T) => string;
  /** False for a snapshot that is no news after the one before it. */
  isNews: (snapshot: T, before: T) => boolean;
  /** Between two deliveries; of what comes meanwhile only the newest is kept. */
  minIntervalMs: number;
  onClose: () => void;
}): Mailbox<T> {
  const waiting = new Map<string, T>();
  const newest = new Map<string, T>();
  let reader: ((result: IteratorResult<T>) => void) | undefined;
  let isFinished = false;
  let isClosed = false;
  let deliveredAt = Number.NEGATIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;

  function close() {
    if (isClosed) return;
    isClosed = true;
    clearTimeout(timer);
    waiting.clear();
    options.onClose();
    reader?.({ done: true, value: undefined });
    reader = undefined;
  }

  /** To the reader who waits, if there is one and something for them; when it is too early, later. */
  function deliver() {
    const [entry] = waiting;
    if (!reader || !entry || timer) return;
    const earlyMs = deliveredAt + options.minIntervalMs - performance.now();
    if (earlyMs > 0) {
      timer = setTimeout(() => {
        timer = undefined;
        deliver();
      }, earlyMs);
      return;
    }
    const read = reader;
    reader = undefined;
    deliveredAt = performance.now();
    waiting.delete(entry[0]);
    read({ done: false, value: entry[1] });
  }

  return {
    put(snapshot) {
      if (isClosed || isFinished) return;
      const key = options.keyOf(snapshot);
      const before = newest.get(key);
      if (before !== undefined && !options.isNews(snapshot, before)) return;
      newest.set(key, snapshot);
      waiting.set(key, snapshot);
      deliver();
    },
    finish() {
      isFinished = true;
      if (waiting.size === 0) close();
    },
    next() {
      return new Promise((resolve) => {
        if (waiting.size === 0 && (isClosed || isFinished)) {
          close();
          resolve({ done: true, value: undefined });
          return;
        }
        reader = resolve;
        deliver();
      });
    },
    async return() {
      close();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
