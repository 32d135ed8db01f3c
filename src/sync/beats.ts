import { setTimeout as wait } from 'node:timers/promises';
import { type ScheduledTask, schedule, type TaskOptions } from 'node-cron';
import type { Logger } from 'pino';

/** What a beat that is under way may take when the process stops; then it is left to the next one. */
const STOP_PATIENCE_MS = 3_000;

/** What is done at a beat, by the name that the log gives it. The signal aborts when no more work should be begun. */
export type Acts = Record<string, (signal: AbortSignal) => Promise<unknown>>;

export interface Beats {
  /** At the times of the expression, one after the other; a beat that takes longer is not joined by a second one. */
  at(expression: string, acts: Acts): void;
  /** Begins nothing more and waits for what is under way, for a bounded time. */
  stop(): Promise<void>;
}

/** An act that fails is told of by the log. asides: what beats begin and do not wait for; it stops with them. */
export function createBeats(options: { logger: Logger; asides: { stop(): Promise<void> }[] }): Beats {
  const { logger, asides } = options;
  const tasks: ScheduledTask[] = [];
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  let isLeft = false;

  async function beat(acts: Acts) {
    for (const [name, act] of Object.entries(acts)) {
      if (stopping.signal.aborted) return;
      try {
        await act(stopping.signal);
      } catch (error) {
        // The connections of one that was left are broken off.
        if (!isLeft) logger.warn({ err: error }, `${name} failed; the next beat tries again`);
      }
    }
  }

  return {
    at(expression, acts) {
      const work = () => {
        const beating = beat(acts).finally(() => underWay.delete(beating));
        underWay.add(beating);
        return beating;
      };
      tasks.push(schedule(expression, work, { noOverlap: true, logger: cronLogger(logger) }));
    },
    async stop() {
      stopping.abort();
      const stopAsides = () => Promise.all(asides.map((aside) => aside.stop()));
      const over = Promise.all([stopAsides(), ...tasks.map((task) => task.destroy()), ...underWay])
        // What a beat that was under way has begun meanwhile.
        .then(stopAsides);
      await Promise.race([over, wait(STOP_PATIENCE_MS, undefined, { ref: false })]);
      isLeft = true;
    },
  };
}

/** What node-cron has to say (mostly that a beat took longer than a second) belongs into our log. */
function cronLogger(logger: Logger): NonNullable<TaskOptions['logger']> {
  return {
    info: (message) => logger.debug(message),
    debug: (message) => logger.debug(String(message)),
    warn: (message) => logger.debug(message),
    error: (message, error) => logger.error({ err: error }, String(message)),
  };
}
