import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { cpuSecondsOf, peakMemoryOf } from '../support/process-usage.ts';
import { tell } from '../support/results.ts';

const FOLDER = fileURLToPath(new URL('../peer', import.meta.url));

export interface Peer {
  url: string;
  cpuSeconds(): number;
  peakMemory(): number;
  stop(): Promise<void>;
}

/** Mercurius on the database of the service, as a process of its own. Installs it at first. */
export async function startPeer(options: {
  databaseUrl: string;
  queriesPerHour: number;
  queriesForRuns: number;
}): Promise<Peer> {
  if (!existsSync(`${FOLDER}/node_modules`)) {
    tell('installing Mercurius, for the benchmark alone');
    await promisify(execFile)('npm', ['ci', '--no-audit', '--no-fund'], { cwd: FOLDER });
  }
  const child = spawn(process.execPath, ['main.mjs'], {
    cwd: FOLDER,
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH ?? '',
      NODE_ENV: 'production',
      DATABASE_URL: options.databaseUrl,
      QUERIES_PER_HOUR: String(options.queriesPerHour),
      QUERIES_FOR_RUNS: String(options.queriesForRuns),
    },
  });
  const exited = once(child, 'exit');
  const printed = await Promise.race([once(child.stdout, 'data'), exited.then(() => undefined)]);
  if (!printed) throw new Error('Mercurius ended before it was up.');
  return {
    url: printed[0].toString().trim(),
    cpuSeconds: () => cpuSecondsOf(child.pid!),
    peakMemory: () => peakMemoryOf(child.pid!),
    async stop() {
      child.stdin.end();
      await exited;
    },
  };
}
