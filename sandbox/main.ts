import { runCommand, USAGE } from './commands.ts';
import { CommandError } from './reach-sandbox.ts';
import { seedSample } from './sample.ts';
import { startSandbox } from './start-sandbox.ts';

const firstPort = Number(process.env.SANDBOX_PORT || 4100);
if (!Number.isInteger(firstPort) || firstPort < 1 || firstPort > 65_527) {
  process.stderr.write('SANDBOX_PORT must be a whole number from 1 to 65527.\n');
  process.exit(1);
}
/** The last of the nine. */
const controlPort = firstPort + 8;

const args = process.argv.slice(2);
if (args.length > 0) {
  // Something to do with the sandbox that runs already.
  try {
    process.stdout.write(`${await runCommand(`http://127.0.0.1:${controlPort}`, args)}\n`);
    process.exit(0);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

const sandbox = await startSandbox({ firstPort }).catch((error: NodeJS.ErrnoException) => {
  if (error.code !== 'EADDRINUSE') throw error;
  process.stderr.write(
    `The sandbox cannot start: one of its nine ports from ${firstPort} on is taken. Stop what listens there, or set SANDBOX_PORT to another number.\n`,
  );
  process.exit(1);
});
const stop = () => void sandbox.stop().then(() => process.exit(0));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, stop);

const sample = seedSample(sandbox);
const environment = Object.entries(sandbox.env).map(([name, value]) => `${name}=${value}`);

process.stdout.write(`The sandbox plays Iterable and Mixpanel until you press Ctrl-C. It keeps all in memory: lists and events are
forgotten then, keys and accounts are the same at each start. To start the service against it, in another terminal:

  DATA_DIR=.data-sandbox ${environment.join(' ')} npm start

  Iterable project:                       ${sample.iterable.id} (EMAIL, US)
  Iterable API key:                       ${sample.apiKey}
  Mixpanel project:                       ${sample.mixpanel.id} (US)
  Service account:                        ${sample.serviceAccount.username}
  Its secret:                             ${sample.serviceAccount.secret}
  Controls (see sandbox/README.md):       ${sandbox.controlUrl}/_control

docs/tour.md goes on from here. What happens in Mixpanel and Iterable is up to you:

${USAGE}

`);
