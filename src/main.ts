import { type App, startApp } from './app.ts';
import { EnvError, readEnv, VARIABLES } from './env.ts';
import { StartError } from './errors.ts';
import { createLogger, writeBelowLog } from './logger.ts';
import { findUnknownVariables } from './unknown-variables.ts';

/** A service that is told to stop has this long; then it goes anyway, and others take up what it had. */
const STOP_PATIENCE_MS = 10_000;
/** What a request to a partner that was given up may still hold open after everything else has stopped. */
const EXIT_PATIENCE_MS = 500;

const env = readEnvOrExit();
const logger = createLogger(env);
for (const told of findUnknownVariables(process.env, VARIABLES)) logger.warn(told);
const stopping = new AbortController();
const starting = startApp({ env, logger, signal: stopping.signal });

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);

const told = starting.then(tellWhereItIs, (error) => {
  // Ctrl-C reaches initdb too, which then fails.
  if (stopping.signal.aborted) logger.info('stopped before it was up');
  else tellWhyNot(error);
});
await told;

/** Also while it is still starting: what was started is stopped, but not before a token that is shown once was shown. */
function stop(signal: NodeJS.Signals): void {
  if (stopping.signal.aborted) return;
  stopping.abort();
  logger.info({ signal }, 'stopping');
  setTimeout(() => process.exit(1), STOP_PATIENCE_MS).unref();
  told
    .then(() => starting)
    .then((app: App) => app.stop())
    .then(
      () => logger.info('stopped'),
      () => undefined,
    )
    .finally(() => setTimeout(() => process.exit(), EXIT_PATIENCE_MS).unref());
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

async function tellWhereItIs({ url, firstSecret }: App): Promise<void> {
  const partners = { iterable: env.iterable.baseUrl, mixpanel: env.mixpanel.baseUrl };
  logger.info({ roles: [...env.roles], ...(url ? { url } : {}), partners }, 'Cohort Sync is up');
  if (firstSecret === undefined) return;
  await writeBelowLog(logger, env, describeFirstSteps(url, firstSecret));
}

function tellWhyNot(error: unknown): void {
  // What an operator can see to needs no stack.
  if (error instanceof StartError) logger.fatal(`The service cannot start. ${error.message}`);
  else logger.fatal({ err: error }, 'the service could not start');
  process.exitCode = 1;
}

/** Once, at the very first start; to the terminal and not to the log, because it holds a secret. */
function describeFirstSteps(url: string | undefined, secret: string): string {
  return `
This is the first start. Your OWNER token, shown only now:

  ${secret}

Next: open ${url ?? 'the gateway'} in a browser, or connect Iterable at once:

  curl ${url ?? 'http://…'}/graphql -H 'authorization: Bearer ${secret}' -H 'content-type: application/json' \\
    -d '{"query":"mutation { connectIntegration(input: { apiKey: \\"…\\", projectType: EMAIL }) { status } }"}'

`;
}
