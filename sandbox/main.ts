import { seedSample } from './sample.ts';
import { startSandbox } from './start-sandbox.ts';

const firstPort = Number(process.env.SANDBOX_PORT ?? 4100);
const sandbox = await startSandbox({ firstPort });
const sample = seedSample(sandbox);

process.stdout.write(`The sandbox plays Iterable and Mixpanel. For the service's environment:

${Object.entries(sandbox.env)
  .map(([name, value]) => `  ${name}=${value}`)
  .join('\n')}

  Iterable project:                       ${sample.iterable.id} (EMAIL, US)
  Iterable API key:                       ${sample.apiKey}
  Mixpanel project:                       ${sample.mixpanel.id} (US)
  Service account:                        ${sample.serviceAccount.username}
  Its secret:                             ${sample.serviceAccount.secret}
  Controls (see sandbox/README.md):       ${sandbox.controlUrl}/_control

`);

const stop = () => void sandbox.stop().then(() => process.exit(0));
process.on('SIGINT', stop);
process.on('SIGTERM', stop);
