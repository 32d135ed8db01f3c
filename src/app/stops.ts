import { setTimeout as wait } from 'node:timers/promises';
import type { Logger } from 'pino';

/** All parts together, a database that answers nothing included; the process has ten seconds. */
const PATIENCE_MS = 8_000;

/** The parts that were started, to be stopped the last first. */
export interface Stops {
  add(part: string, stop: () => Promise<unknown>): void;
  /** Bounded in time: parts that do not come to an end are told to stop and left. Stopping twice is fine. */
  stopAll(): Promise<void>;
}

export function createStops(logger: Logger): Stops {
  const parts: { part: string; stop: () => Promise<unknown> }[] = [];
  let stopped: Promise<void> | undefined;

  async function stopAll() {
    const settled = new AbortController();
    const late = wait(PATIENCE_MS, true, { signal: settled.signal }).catch(() => false);
    const left: string[] = [];
    for (const { part, stop } of parts.reverse()) {
      const stopping = stop().then(
        () => false,
        (error) => {
          logger.warn({ err: error, part }, 'a part did not stop cleanly');
          return false;
        },
      );
      if (await Promise.race([stopping, late])) left.push(part);
    }
    settled.abort();
    if (left.length > 0) logger.warn({ parts: left }, 'parts that did not stop in time were left');
  }

  return {
    add: (part, stop) => void parts.push({ part, stop }),
    stopAll: () => (stopped ??= stopAll()),
  };
}
