import { setTimeout as wait } from 'node:timers/promises';
import { createBeats } from '../sync/beats.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { fileEvents } from './file-events.ts';
import { forgetEvents } from './forget-events.ts';
import { createImporter } from './import-events.ts';

/** What comes in a second is filed by then, and two who work at once would keep webhooks from the processor. */
const IMPORT_AFTER_MS = 500;

/** Carries Iterable's events to Mixpanel. */
export interface Carrier {
  /**
   * Waits for the beats that are under way, for a bounded time. Breaks off a request that is under way: what it was about is
   * sent again.
   */
  stop(): Promise<void>;
}

/** Beats once a second. Any number of processes may have one. */
export function startCarrier(deps: SyncDeps): Carrier {
  const importer = createImporter(deps);
  const beats = createBeats({ logger: deps.logger, asides: [importer] });
  const everySecond = '* * * * * *';
  beats.at(everySecond, { 'filing events': (signal) => fileEvents(deps, signal) });
  beats.at(everySecond, {
    'importing events': async (signal) => {
      await wait(IMPORT_AFTER_MS, undefined, { signal }).catch(() => undefined);
      await importer.begin();
    },
  });
  beats.at('30 * * * * *', { 'forgetting old events': (signal) => forgetEvents(deps, signal) });
  return { stop: beats.stop };
}
