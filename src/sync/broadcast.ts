import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Mailbox } from './mailbox.ts';

/** Watchers who are told in one turn of the process: some milliseconds, in which nobody else is served. */
const WATCHERS_IN_A_TURN = 200;

/** Those who watch the same thing or things. */
export interface Broadcast<T> {
  readonly watchers: ReadonlySet<Mailbox<T>>;
  add(watcher: Mailbox<T>): void;
  delete(watcher: Mailbox<T>): void;
  /**
   * Tells everybody, some at a time. A newer snapshot of the same key takes the place of one that is being told, from where
   * that has come to, so that nobody waits for longer than it takes to tell everybody once. After the last one they hear
   * nothing more.
   */
  tell(key: string, snapshot: T, options?: { isLast?: boolean }): void;
}

interface Telling<T> {
  snapshot: T;
  isLast: boolean;
  /** Watchers who have not been told the snapshot. */
  left: number;
}

export function createBroadcast<T>(): Broadcast<T> {
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
      if (telling.isLast) step.value.finish();
      if (++told % WATCHERS_IN_A_TURN === 0) await nextTurn();
    }
  }

  return {
    watchers,
    add(watcher) {
      watchers.add(watcher);
      // It stands at the end, and none of the others is to be left out for it.
      for (const telling of tellings.values()) telling.left++;
    },
    delete: (watcher) => void watchers.delete(watcher),
    tell(key, snapshot, { isLast = false } = {}) {
      const known = tellings.get(key);
      if (known) {
        Object.assign(known, { snapshot, isLast: known.isLast || isLast, left: watchers.size });
        return;
      }
      const telling = { snapshot, isLast, left: watchers.size };
      tellings.set(key, telling);
      void tellEverybody(telling).finally(() => tellings.delete(key));
    },
  };
}
