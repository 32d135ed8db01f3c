import type { Clock } from '../../src/clock.ts';

export interface ManualClock extends Clock {
  advance(by: { seconds?: number; minutes?: number; hours?: number }): void;
  set(instant: string): void;
}

/** Time that stands still until the test moves it. */
export function createManualClock(start = '2030-01-01T00:00:00.000Z'): ManualClock {
  let nowMs = Date.parse(start);
  return {
    now: () => new Date(nowMs),
    advance({ seconds = 0, minutes = 0, hours = 0 }) {
      nowMs += ((hours * 60 + minutes) * 60 + seconds) * 1000;
    },
    set(instant) {
      nowMs = Date.parse(instant);
    },
  };
}
