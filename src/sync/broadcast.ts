import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Kind, Mailbox } from './mailbox.ts';

/** Watchers who are told in one turn of the process: some milliseconds, in which nobody else is served. */
const WATCHERS_IN_A_TURN = 200;

/** Those who watch the same thing or things. */
export interface Broadcast<T> {
  readonly watchers: ReadonlySet<Mailbox<T>>;
  /** A watcher more, until the mailbox is closed. */
  watch(): Mailbox<T>;
  /**
   * Tells everybody, some at a time. A newer snapshot of the same thing takes the place of one that is being told, from where
   * that has come to, so that nobody waits for longer than it takes to tell everybody once.
   */
  tell(snapshot: T): void;
}

interface Telling<T> {
  snapshot: T;
  /** Watchers who have not been told the snapshot. */
  left: number;
}

/** Calls onEmpty when the last watcher has gone. */
export function createBroadcast<T>(kind: Kind<T>, onEmpty: () => void): Broadcast<T> {
  const watchers = new Set<Mailbox<T>>();
  const tellings = new Map<string, Telling<T>>();

  async function tellEverybody(telling: Telling<T>) {
    let told = 0;
    let ring = watchers.values();
    while (telling.left > 0) {
      // Before the wait: what comes meanwhile is for everybody.
      telling.left--;
      let step = ring.next();
      if (step.done) {
        ring = watchers.values();
        step = ring.next();
      }
      if (step.done) return;
      step.value.put(telling.snapshot);
      if (++told % WATCHERS_IN_A_TURN === 0) await nextTurn();
    }
  }

  function leave(watcher: Mailbox<T>) {
    watchers.delete(watcher);
    if (watchers.size === 0) onEmpty();
  }

  return {
    watchers,
    watch() {
      const watcher = new Mailbox(kind, leave);
      watchers.add(watcher);
      // It stands at the end, and none of the others is to be left out for it.
      for (const telling of tellings.values()) telling.left++;
      return watcher;
    },
    tell(snapshot) {
      const key = kind.keyOf(snapshot);
      const known = tellings.get(key);
      if (known) {
        // Read earlier, and come later.
        if (!kind.isNews(snapshot, known.snapshot)) return;
        known.snapshot = snapshot;
        known.left = watchers.size;
        return;
      }
      const telling = { snapshot, left: watchers.size };
      tellings.set(key, telling);
      void tellEverybody(telling).finally(() => tellings.delete(key));
    },
  };
}
