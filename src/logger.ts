import { type Logger, pino } from 'pino';
import type { Env } from './env.ts';

/** Lines of JSON, or coloured text on a terminal. What may carry a secret is never written. */
export function createLogger(env: Pick<Env, 'logLevel' | 'logFormat'>): Logger {
  return pino({
    level: env.logLevel,
    base: undefined,
    redact: {
      paths: [
        'authorization',
        '*.authorization',
        'apiKey',
        '*.apiKey',
        'secret',
        '*.secret',
        'password',
        '*.password',
      ],
      censor: '[secret]',
    },
    ...(env.logFormat === 'pretty'
      ? {
          transport: {
            target: 'pino-pretty',
            options: { ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss' },
          },
        }
      : {}),
  });
}

/**
 * Writes text to standard output, below the lines that the log has got so far. It is no line of the log: what must not be logged
 * may be in it.
 */
export async function writeBelowLog(
  logger: Logger,
  { logFormat }: Pick<Env, 'logFormat'>,
  text: string,
): Promise<void> {
  if (logFormat === 'json') {
    // Its lines are on their way in a queue of the stream's own, which flush() does not wait for.
    const { [pino.symbols.streamSym]: stream } = logger as unknown as Record<symbol, NodeJS.WritableStream>;
    stream!.write(text);
    return;
  }
  await new Promise((flushed) => logger.flush(flushed));
  process.stdout.write(text);
}
