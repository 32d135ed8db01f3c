/** Who is told the values of an iteration as they come. */
export interface Listener<T> {
  /** Wants one value and no more, and no end after it. */
  isOnce?: boolean;
  /** The next value waits until what this returns has resolved. */
  tell(value: T): void | Promise<void>;
  /** Called once, after the last value, with what went wrong if something has. */
  end(error?: unknown): void;
}

/** An iteration whose values can be had at once instead, without a promise for each. */
export interface Pushed<T> extends AsyncIterableIterator<T> {
  /** In place of next. */
  tellEach(listener: Listener<T>): void;
}

/** What there is to know of the snapshots. */
export interface Kind<T> {
  keyOf: (snapshot: T) => string;
  /** False for a snapshot that is no news after the one before it. */
  isNews: (snapshot: T, before: T) => boolean;
  /** True for one after which there is nothing more to know. */
  isLast?: (snapshot: T) => boolean;
  /** Between two deliveries; of what comes meanwhile only the newest is kept. */
  minIntervalMs: number;
}

/**
 * Snapshots for one watcher who may read slowly: of each thing only the newest is kept, and none comes out of order. A
 * class, because there are ten thousand of them.
 */
export class Mailbox<T> implements Pushed<T> {
  readonly #kind: Kind<T>;
  readonly #onClose: (mailbox: Mailbox<T>) => void;
  /** There once something has had to wait. */
  #waiting: Map<string, T> | undefined;
  readonly #newest = new Map<string, T>();
  /** What is awaited before the first delivery; its failure is the listener's to hear of. */
  #begun: Promise<void> | undefined;
  /** Who waits for the next value. */
  #listener: Listener<T> | undefined;
  #isFinished = false;
  #isClosed = false;
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(kind: Kind<T>, onClose: (mailbox: Mailbox<T>) => void) {
    this.#kind = kind;
    this.#onClose = onClose;
  }

  /** Nothing is delivered before this, which ends the iteration if it fails. */
  beginWith(begun: Promise<void>): void {
    this.#begun = begun;
    begun.catch(() => undefined);
  }

  put(snapshot: T): void {
    if (this.#isClosed || this.#isFinished) return;
    const { keyOf, isNews, isLast } = this.#kind;
    const key = keyOf(snapshot);
    const before = this.#newest.get(key);
    if (before === undefined || isNews(snapshot, before)) this.#take(key, snapshot);
    if (isLast?.(snapshot)) this.finish();
  }

  /** What is in it is still delivered; then the iteration ends. */
  finish(): void {
    this.#isFinished = true;
    if (!this.#waiting) this.#close();
  }

  next(): Promise<IteratorResult<T>> {
    return new Promise((resolve, reject) => {
      this.tellEach({
        isOnce: true,
        tell: (value) => resolve({ done: false, value }),
        end: (error) => (error === undefined ? resolve({ done: true, value: undefined }) : reject(error)),
      });
    });
  }

  tellEach(listener: Listener<T>): void {
    const begun = this.#begun;
    this.#begun = undefined;
    if (begun) this.#tellAfter(begun, listener);
    else this.#begin(listener);
  }

  async return(): Promise<IteratorResult<T>> {
    this.#close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #take(key: string, snapshot: T): void {
    this.#newest.set(key, snapshot);
    if (this.#listener && this.#kind.minIntervalMs === 0) {
      // Whoever waits has had everything else.
      this.#tell(this.#listener, snapshot);
      return;
    }
    this.#waiting ??= new Map();
    this.#waiting.set(key, snapshot);
    this.#deliver();
  }

  #tellAfter(ready: Promise<void>, listener: Listener<T>): void {
    ready.then(
      () => this.#begin(listener),
      (error) => {
        this.#close();
        listener.end(error);
      },
    );
  }

  #begin(listener: Listener<T>): void {
    this.#listen(listener);
    this.#deliver();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#waiting = undefined;
    this.#onClose(this);
    this.#listener?.end();
    this.#listener = undefined;
  }

  /** To the listener who waits, if there is one and something for them; when it is too early, later. */
  #deliver(): void {
    // Who is told may wait for the next one at once.
    while (this.#listener && this.#waiting && !this.#timer) {
      const { minIntervalMs } = this.#kind;
      const earlyMs = minIntervalMs === 0 ? 0 : this.#deliveredAt + minIntervalMs - performance.now();
      if (earlyMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#deliver();
        }, earlyMs);
        return;
      }
      if (minIntervalMs > 0) this.#deliveredAt = performance.now();
      const [[key, value]] = this.#waiting as unknown as [[string, T]];
      this.#waiting.delete(key);
      if (this.#waiting.size === 0) this.#waiting = undefined;
      this.#tell(this.#listener, value);
    }
  }

  #tell(listener: Listener<T>, value: T): void {
    this.#listener = undefined;
    const told = listener.tell(value);
    if (told) this.#tellAfter(told, listener);
    else if (!listener.isOnce) this.#listen(listener);
  }

  /** The next value is told to this listener, or the end. */
  #listen(listener: Listener<T>): void {
    if (this.#waiting || !(this.#isClosed || this.#isFinished)) {
      this.#listener = listener;
      return;
    }
    this.#close();
    listener.end();
  }
}
