/** By this a change shows at the latest that no notification tells of. */
const MAX_AGE_MS = 1_000;

/**
 * What was read of projects and is asked for again and again, until something of the project changes. It is out of date for
 * as long as a notification is on its way, a few milliseconds, and for a second at most where none tells of the change:
 * another project of ours that shares the Mixpanel project, a cohort's new size, queries that fall out of the hour. A
 * caller sees what they themselves have changed, because each mutation makes the project forgotten.
 */
export interface Remembered {
  /** What `load` gave within the last second, by either clock, or gives now. A failure is not remembered. */
  remember<T>(projectId: string, what: string, now: Date, load: () => Promise<T>): Promise<T>;
  forget(projectId: string): void;
  /** Nothing is remembered while changes may go unheard. */
  setHearing(isHearing: boolean): void;
}

interface Entry {
  value: Promise<unknown>;
  readAt: number;
  /** By the clock of the service, which stands still or jumps in tests. */
  now: number;
}

export function createRemembered(): Remembered {
  const projects = new Map<string, Map<string, Entry>>();
  let hears = false;

  function isFresh(entry: Entry, now: number): boolean {
    return performance.now() - entry.readAt < MAX_AGE_MS && Math.abs(now - entry.now) < MAX_AGE_MS;
  }

  return {
    remember<T>(projectId: string, what: string, clockNow: Date, load: () => Promise<T>): Promise<T> {
      const now = clockNow.getTime();
      const entries = projects.get(projectId) ?? new Map<string, Entry>();
      const known = entries.get(what);
      if (known && isFresh(known, now)) return known.value as Promise<T>;
      const entry = { value: load(), readAt: performance.now(), now };
      entries.set(what, entry);
      projects.set(projectId, entries);
      const drop = () => {
        if (entries.get(what) === entry) entries.delete(what);
      };
      entry.value.catch(drop);
      // The rows of one answer ask in the same moment.
      if (!hears) setImmediate(drop);
      return entry.value;
    },
    forget: (projectId) => void projects.delete(projectId),
    setHearing(isHearing) {
      hears = isHearing;
      projects.clear();
    },
  };
}
