import { type App, startApp } from './app.ts';
import { EnvError, readEnv } from './env.ts';
import { createLogger } from './logger.ts';

/** A service that is told to stop has this long; then it goes anyway, and others take up what it had. */
const STOP_PATIENCE_MS = 10_000;

const env = readEnvOrExit();
const logger = createLogger(env);
let app: App | undefined;
try {
  app = await startApp({ env, logger });
} catch (error) {
  logger.fatal({ err: error }, 'the service could not start');
  process.exitCode = 1;
}
if (app) {
  const started = app;
  let isStopping = false;
  const stop = (signal: string) => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => process.exit(1), STOP_PATIENCE_MS).unref();
    started.stop().then(() => logger.info('stopped'));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  logger.info({ roles: [...env.roles], ...(started.url ? { url: started.url } : {}) }, 'Cohort Sync is up');
  if (started.firstSecret !== undefined) tellFirstSteps(started.url, started.firstSecret);
}

function readEnvOrExit() {
  try {
    return readEnv(process.env, process.stdout.isTTY);
  } catch (error) {
    if (!(error instanceof EnvError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

/** Once, at the very first start; to the terminal and not to the log, because it holds a secret. */
function tellFirstSteps(url: string | undefined, secret: string): void {
  process.stdout.write(`
This is the first start. Your OWNER token, shown only now:

  ${secret}

Next: open ${url ?? 'the gateway'} in a browser, or connect Iterable at once:

  curl ${url ?? 'http://…'}/graphql -H 'authorization: Bearer ${secret}' -H 'content-type: application/json' \\
    -d '{"query":"mutation { connectIntegration(input: { apiKey: \\"…\\", projectType: EMAIL }) { status } }"}'

`);
}
