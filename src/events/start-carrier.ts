import { setTimeout as wait } from 'node:timers/promises';
import { schedule } from 'node-cron';
import { cronOptions } from '../sync/cron-options.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { fileEvents } from './file-events.ts';
import { forgetEvents } from './forget-events.ts';
import { createImporter } from './import-events.ts';

/** What comes in a second is filed by then, and two who work at once would keep webhooks from the processor. */
const IMPORT_AFTER_MS = 500;

/** Carries Iterable's events to Mixpanel. */
export interface Carrier {
  /** Breaks off a request that is under way: what it was about is sent again. */
  stop(): Promise<void>;
}

/** Beats once a second; a beat that takes longer is not joined by a second one. Any number of processes may have one. */
export function startCarrier(deps: SyncDeps): Carrier {
  const importer = createImporter(deps);
  const stopping = new AbortController();
  const beat = async (name: string, act: () => Promise<void>) => {
    try {
      await act();
    } catch (error) {
      if (stopping.signal.aborted) return;
      deps.logger.warn({ err: error }, `${name} failed; the next beat tries again`);
    }
  };
  const options = cronOptions(deps.logger);
  const everySecond = '* * * * * *';
  const tasks = [
    schedule(everySecond, () => beat('filing events', () => fileEvents(deps, stopping.signal)), options),
    schedule(
      everySecond,
      () =>
        beat('importing events', async () => {
          await wait(IMPORT_AFTER_MS, undefined, { signal: stopping.signal });
          await importer.begin();
        }),
      options,
    ),
    schedule('30 * * * * *', () => beat('forgetting old events', () => forgetEvents(deps)), options),
  ];
  return {
    async stop() {
      stopping.abort();
      await Promise.all([importer.stop(), ...tasks.map((task) => task.destroy())]);
    },
  };
}
