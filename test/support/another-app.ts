import { pino } from 'pino';
import { type App, startApp } from '../../src/app.ts';
import { readEnv } from '../../src/env.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { collectLines, type TestApp } from './test-app.ts';

export interface AnotherApp extends AsyncDisposable {
  app: App;
  /** With the OWNER token; of a process with a gateway. */
  api: ApiClient;
  /** Lines of its log; they are in that of the first app too. */
  logs: Record<string, unknown>[];
}

/** What one more process would start: on the same database, with the same partners and the same clock. */
export async function startAnother(
  first: TestApp,
  { realTime = false, ...given }: { env?: Record<string, string>; realTime?: boolean } = {},
): Promise<AnotherApp> {
  const logs: Record<string, unknown>[] = [];
  const app = await startApp({
    env: readEnv({ ...first.env, ...given.env }, false),
    logger: pino({ level: 'debug', base: undefined }, collectLines(logs, first.logs)),
    ...(realTime ? {} : { clock: first.clock }),
  });
  const api = createApiClient(app.url ?? '', first.ownerSecret);
  return { app, api, logs, [Symbol.asyncDispose]: () => app.stop() };
}

/** How many runs a process has begun or taken up. */
export function countRunsOf(logs: Record<string, unknown>[]): number {
  return logs.filter((line) => line.msg === 'run started' || line.msg === 'run taken up').length;
}
