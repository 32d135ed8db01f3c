/** An iteration whose values can be had at once instead, without a promise for each. */
export interface Pushed<T> extends AsyncIterableIterator<T> {
  /** Tells each value when it comes, in place of next; waits for what `tell` returns. Resolves at the end. */
  tellEach(tell: (value: T) => void | Promise<void>): Promise<void>;
}

/** What there is to know of the snapshots. */
export interface Kind<T> {
  keyOf: (snapshot: T) => string;
  /** False for a snapshot that is no news after the one before it. */
  isNews: (snapshot: T, before: T) => boolean;
  /** Between two deliveries; of what comes meanwhile only the newest is kept. */
  minIntervalMs: number;
}

type Read<T> = (step: IteratorResult<T>) => void;

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
  /** What is awaited before the first delivery; its failure is the reader's to hear of. */
  #begun: Promise<void> | undefined;
  #reader: Read<T> | undefined;
  #isFinished = false;
  #isClosed = false;
  #deliveredAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;

  constructor(kind: Kind<T>, onClose: (mailbox: Mailbox<T>) => void) {
    this.#kind = kind;
    this.#onClose = onClose;
  }

  /** Nothing is delivered before this, which fails the first reading if it fails. */
  beginWith(begun: Promise<void>): void {
    this.#begun = begun;
    begun.catch(() => undefined);
  }

  put(snapshot: T): void {
    if (this.#isClosed || this.#isFinished) return;
    const { keyOf, isNews, minIntervalMs } = this.#kind;
    const key = keyOf(snapshot);
    const before = this.#newest.get(key);
    if (before !== undefined && !isNews(snapshot, before)) return;
    this.#newest.set(key, snapshot);
    const read = this.#reader;
    if (read && minIntervalMs === 0) {
      // Whoever waits has had everything else.
      this.#reader = undefined;
      read({ done: false, value: snapshot });
      return;
    }
    this.#waiting ??= new Map();
    this.#waiting.set(key, snapshot);
    this.#deliver();
  }

  /** What is in it is still delivered; then the iteration ends. */
  finish(): void {
    this.#isFinished = true;
    if (!this.#waiting?.size) this.#close();
  }

  async next(): Promise<IteratorResult<T>> {
    await this.#untilBegun();
    return await new Promise((resolve) => {
      this.#listen(resolve);
      this.#deliver();
    });
  }

  tellEach(tell: (value: T) => void | Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        this.#listen(read);
        this.#deliver();
      };
      const fail = (error: unknown) => {
        this.#close();
        reject(error);
      };
      const read: Read<T> = (step) => {
        if (step.done) return resolve();
        const told = tell(step.value);
        if (told) told.then(go, fail);
        else this.#listen(read);
      };
      this.#untilBegun().then(go, fail);
    });
  }

  async return(): Promise<IteratorResult<T>> {
    this.#close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async #untilBegun(): Promise<void> {
    const begun = this.#begun;
    this.#begun = undefined;
    await begun;
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#waiting = undefined;
    this.#onClose(this);
    this.#reader?.({ done: true, value: undefined });
    this.#reader = undefined;
  }

  /** To the reader who waits, if there is one and something for them; when it is too early, later. */
  #deliver(): void {
    // A reader who is told may ask for the next one at once.
    while (this.#reader && this.#waiting?.size && !this.#timer) {
      const { minIntervalMs } = this.#kind;
      const earlyMs = minIntervalMs === 0 ? 0 : this.#deliveredAt + minIntervalMs - performance.now();
      if (earlyMs > 0) {
        this.#timer = setTimeout(() => {
          this.#timer = undefined;
          this.#deliver();
        }, earlyMs);
        return;
      }
      const read = this.#reader;
      this.#reader = undefined;
      if (minIntervalMs > 0) this.#deliveredAt = performance.now();
      const [[key, value]] = this.#waiting as unknown as [[string, T]];
      this.#waiting.delete(key);
      read({ done: false, value });
    }
  }

  /** The next value is told to this reader, or the end. */
  #listen(read: Read<T>): void {
    if (this.#waiting?.size || !(this.#isClosed || this.#isFinished)) {
      this.#reader = read;
      return;
    }
    this.#close();
    read({ done: true, value: undefined });
  }
}
