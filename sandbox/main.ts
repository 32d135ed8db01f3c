import { seedSample } from './sample.ts';
import { startSandbox } from './start-sandbox.ts';

const firstPort = Number(process.env.SANDBOX_PORT ?? 4100);
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

  ${environment.join(' ')} npm start

  Iterable project:                       ${sample.iterable.id} (EMAIL, US)
  Iterable API key:                       ${sample.apiKey}
  Mixpanel project:                       ${sample.mixpanel.id} (US)
  Service account:                        ${sample.serviceAccount.username}
  Its secret:                             ${sample.serviceAccount.secret}
  Controls (see sandbox/README.md):       ${sandbox.controlUrl}/_control

`);
