import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface WatchOptions {
  url: string;
  /** Each watcher takes the next of them in turn. */
  tokens: string[];
  runId: string;
  watchers: number;
  /** Further sockets that subscribe to a lot and then do not read. */
  stalled: number;
}

export interface Watched {
  /** Of each snapshot but the first of its watcher, and when it came, in milliseconds since 1970. */
  revisions: Float64Array;
  times: Float64Array;
  /** Of each watcher: the newest revision it got; -1 for none. */
  newest: Float64Array;
  /** Watchers whose socket was closed, or who were told of an error, and the first reason of them. */
  lost: number;
  firstLoss: string | undefined;
  cpuSeconds: number;
}

export interface Watchers {
  /** When the last of them had its first snapshot, in milliseconds since 1970. */
  connectedAt: number;
  /** Waits until the run is over for each of them. */
  report(): Promise<Watched>;
  stop(): Promise<void>;
}

/** Starts bench/support/watch.ts as a process of its own: what watchers cost is not the service's. */
export async function startWatchers(options: WatchOptions): Promise<Watchers> {
  const child = fork(fileURLToPath(new URL('./watch.ts', import.meta.url)), [JSON.stringify(options)], {
    execArgv: [],
    serialization: 'advanced',
  });
  const exited = once(child, 'exit');
  const [connected] = await once(child, 'message');
  return {
    connectedAt: connected.at,
    async report() {
      child.send('report');
      const [watched] = await once(child, 'message');
      return watched;
    },
    async stop() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
