import type { TaskOptions } from 'node-cron';
import type { Logger } from 'pino';

/** A beat that takes longer than its interval is not joined by a second one. */
export function cronOptions(logger: Logger): TaskOptions {
  return { noOverlap: true, logger: cronLogger(logger) };
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
