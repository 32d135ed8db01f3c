import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface Arrival {
  revision: number;
  /** In milliseconds since 1970. */
  at: number;
}

export interface WatchOptions {
  url: string;
  token: string;
  runId: string;
  watchers: number;
  /** Further sockets that subscribe to a lot and then do not read. */
  stalled: number;
}

/** Starts bench/support/watch.ts as a process of its own: what watchers cost is not the service's. */
export async function startWatchers(
  options: WatchOptions,
): Promise<{ connectedAt: Promise<number>; arrivals(): Promise<Arrival[]> }> {
  const child = fork(fileURLToPath(new URL('./watch.ts', import.meta.url)), [JSON.stringify(options)], {
    execArgv: [],
    serialization: 'advanced',
  });
  const [connected] = await once(child, 'message');
  return {
    connectedAt: Promise.resolve(connected.at),
    async arrivals() {
      child.send('report');
      const [{ revisions, times }] = await once(child, 'message');
      child.disconnect();
      return Array.from(revisions as Float64Array, (revision, index) => ({ revision, at: times[index] }));
    },
  };
}
