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
