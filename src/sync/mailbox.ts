/** An iteration whose values can be had at once instead, without a promise for each. */
export interface Pushed<T> extends AsyncIterableIterator<T> {
  /** Tells each value when it comes, in place of next; waits for what `tell` returns. Resolves at the end. */
  tellEach(tell: (value: T) => void | Promise<void>): Promise<void>;
}

/** Snapshots for one watcher who may read slowly: of each thing only the newest is kept, and none comes out of order. */
export interface Mailbox<T> extends Pushed<T> {
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
    // A reader who is told may ask for the next one at once.
    for (let [entry] = waiting; reader && entry && !timer; [entry] = waiting) {
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
  }

  /** The next value is told to this reader, or the end. */
  function listen(read: NonNullable<typeof reader>) {
    if (waiting.size > 0 || !(isClosed || isFinished)) {
      reader = read;
      return;
    }
    close();
    read({ done: true, value: undefined });
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
        listen(resolve);
        deliver();
      });
    },
    tellEach(tell) {
      return new Promise((resolve, reject) => {
        const fail = (error: unknown) => {
          close();
          reject(error);
        };
        const read = (step: IteratorResult<T>) => {
          if (step.done) return resolve();
          const told = tell(step.value);
          if (!told) return listen(read);
          told.then(() => {
            listen(read);
            deliver();
          }, fail);
        };
        listen(read);
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
