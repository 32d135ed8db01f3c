import type { SandboxClock } from './clock.ts';

/** Counts events in a sliding window. Gives how long until there is room; 0 when the event was taken in. */
export function createRateLimit(clock: SandboxClock, windowMs: number, limit: () => number) {
  let taken: number[] = [];
  return {
    take(): number {
      const now = clock.now();
      taken = taken.filter((at) => at > now - windowMs);
      if (taken.length >= limit()) return taken[0]! + windowMs - now;
      taken.push(now);
      return 0;
    },
    get count(): number {
      return taken.filter((at) => at > clock.now() - windowMs).length;
    },
  };
}
