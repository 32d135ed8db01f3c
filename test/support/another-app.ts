import { pino } from 'pino';
import { type App, startApp } from '../../src/app.ts';
import { readEnv } from '../../src/env.ts';
import { collectLines, type TestApp } from './test-app.ts';

export interface AnotherApp extends AsyncDisposable {
  app: App;
  logs: Record<string, unknown>[];
}

/** What one more process would start: on the same database, with the same partners and the same clock. */
export async function startAnother(
  { env, clock }: TestApp,
  { realTime = false, ...given }: { env?: Record<string, string>; realTime?: boolean } = {},
): Promise<AnotherApp> {
  const logs: Record<string, unknown>[] = [];
  const app = await startApp({
    env: readEnv({ ...env, ...given.env }, false),
    logger: pino({ level: 'debug', base: undefined }, collectLines(logs)),
    ...(realTime ? {} : { clock }),
  });
  return { app, logs, [Symbol.asyncDispose]: () => app.stop() };
}

/** How many runs a process has begun or taken up. */
export function countRunsOf(logs: Record<string, unknown>[]): number {
  return logs.filter((line) => line.msg === 'run started' || line.msg === 'run taken up').length;
}
