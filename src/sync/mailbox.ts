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
  onClose: () => void;
}): Mailbox<T> {
  const waiting = new Map<string, T>();
  const newest = new Map<string, T>();
  let reader: ((result: IteratorResult<T>) => void) | undefined;
  let isFinished = false;
  let isClosed = false;

  function close() {
    if (isClosed) return;
    isClosed = true;
    waiting.clear();
    options.onClose();
    reader?.({ done: true, value: undefined });
    reader = undefined;
  }

  function deliver(read: (result: IteratorResult<T>) => void): boolean {
    const [entry] = waiting;
    if (!entry) return false;
    waiting.delete(entry[0]);
    read({ done: false, value: entry[1] });
    return true;
  }

  return {
    put(snapshot) {
      if (isClosed || isFinished) return;
      const key = options.keyOf(snapshot);
      const before = newest.get(key);
      if (before !== undefined && !options.isNews(snapshot, before)) return;
      newest.set(key, snapshot);
      waiting.set(key, snapshot);
      const read = reader;
      reader = undefined;
      if (read) deliver(read);
    },
    finish() {
      isFinished = true;
      if (waiting.size === 0) close();
    },
    next() {
      return new Promise((resolve) => {
        if (deliver(resolve)) return;
        if (isClosed || isFinished) {
          close();
          resolve({ done: true, value: undefined });
        } else {
          reader = resolve;
        }
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
