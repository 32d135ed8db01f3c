import { percentile } from '../support/results.ts';
import type { Watched } from '../support/watchers-process.ts';

export interface WatchFigures extends Judgement {
  /** From the start of the run until the last watcher had its first snapshot. */
  connectSeconds: number;
  cores: number;
  peakMemory: number;
}

interface Judgement {
  changes: number;
  /** A change is kept at a watcher when its very revision arrived. */
  kept: number;
  p50: number;
  p95: number;
  max: number;
  /** Of the changes while others were still connecting. */
  p95Connecting: number;
  connected: number;
  haveLast: number;
  watchers: number;
  lost: number;
  firstLoss: string | undefined;
  watcherCores: number;
}

/** Pure. Changes count from the moment when everybody watched. */
export function judge(
  watched: Watched[],
  changes: { revision: number; at: number }[],
  connectedAt: number,
): Judgement {
  const changedAt = new Map(changes.map(({ revision, at }) => [revision, at]));
  const delays: number[] = [];
  const delaysConnecting: number[] = [];
  for (const { revisions, times } of watched) {
    for (const [index, revision] of revisions.entries()) {
      const from = changedAt.get(revision);
      if (from !== undefined) (from > connectedAt ? delays : delaysConnecting).push(times[index]! - from);
    }
  }
  const counted = changes.filter(({ at }) => at > connectedAt).length;
  const last = Math.max(...changes.map(({ revision }) => revision));
  const newest = watched.flatMap((one) => [...one.newest]);
  const secondsInAll = (changes.at(-1)!.at - changes[0]!.at) / 1000;
  return {
    changes: counted,
    kept: delays.length / (counted * newest.length),
    p50: percentile(delays, 50),
    p95: percentile(delays, 95),
    max: percentile(delays, 100),
    p95Connecting: percentile(delaysConnecting, 95),
    connected: newest.filter((revision) => revision !== -1).length,
    haveLast: newest.filter((revision) => revision === last).length,
    watchers: newest.length,
    lost: watched.reduce((sum, one) => sum + one.lost, 0),
    firstLoss: watched.find((one) => one.firstLoss !== undefined)?.firstLoss,
    watcherCores: watched.reduce((sum, one) => sum + one.cpuSeconds, 0) / secondsInAll,
  };
}
