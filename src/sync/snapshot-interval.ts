/** No row is read again sooner than this, so that nobody is sent more than ten snapshots a second of one thing. */
const MIN_INTERVAL_MS = 100;
/** Half as many for a crowd: to tell ten thousand costs the process a tenth of a second or more. */
const CROWD = 1_000;
const CROWD_INTERVAL_MS = 200;
/** Sums change with each batch of events, and nobody looks at them so often. */
export const USAGE_INTERVAL_MS = 1_000;

/** Milliseconds from one reading of a row to the next, for so many who watch it. */
export function snapshotInterval(noun: string, watchers: number): number {
  if (noun === 'usage') return USAGE_INTERVAL_MS;
  return watchers > CROWD ? CROWD_INTERVAL_MS : MIN_INTERVAL_MS;
}
