import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Api, connectPartners, createApi } from './api.ts';
import type { Partners } from './partners-process.ts';
import { cpuSecondsOf, forgetPeakMemoryOf, peakMemoryOf } from './process-usage.ts';

export interface Service {
  url: string;
  token: string;
  api: Api;
  cpuSeconds(): number;
  peakMemory(): number;
  /** The peak is counted from now on. */
  forgetPeakMemory(): void;
  /** Whether the process is over, by itself or by stop(). */
  hasEnded(): boolean;
  stop(): Promise<void>;
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Posts at a time, of the floor and of the service alike. */
export const CONCURRENCY = 5;

/** Longer than the service gives itself. */
const STOP_PATIENCE_MS = 20_000;

/** The service as it is deployed: a process of its own, reached over HTTP; connected to both partners. */
export async function startService(options: {
  databaseUrl: string;
  partners: Partners;
  env?: Record<string, string>;
  /** Shows nothing of what goes wrong in it. */
  isQuiet?: boolean;
}): Promise<Service> {
  const token = options.env?.BOOTSTRAP_TOKEN ?? randomBytes(24).toString('base64url');
  const start = readStart();
  const child = spawn(process.execPath, start.args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', options.isQuiet ? 'ignore' : 'inherit'],
    env: {
      PATH: process.env.PATH ?? '',
      ...start.env,
      PORT: '0',
      DATABASE_URL: options.databaseUrl,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      BOOTSTRAP_TOKEN: token,
      ITERABLE_BASE_URL_US: options.partners.iterableUrl,
      MIXPANEL_BASE_URL_US: options.partners.mixpanelUrl,
      MIXPANEL_INGESTION_BASE_URL_US: options.partners.mixpanelUrl,
      ITERABLE_REQUESTS_PER_SECOND: '0',
      ITERABLE_CONCURRENCY: String(CONCURRENCY),
      MIXPANEL_QUERIES_PER_HOUR: '0',
      LOG_FORMAT: 'json',
      ...options.env,
    },
  });
  const exited = once(child, 'exit');
  const url = await readUrl(child.stdout, options.isQuiet === true);
  const api = createApi(url, token);
  await connectPartners(api);
  return {
    url,
    token,
    api,
    cpuSeconds: () => cpuSecondsOf(child.pid!),
    peakMemory: () => peakMemoryOf(child.pid!),
    forgetPeakMemory: () => forgetPeakMemoryOf(child.pid!),
    // One that is being torn down has no memory left, and is no child that has ended yet.
    hasEnded: () =>
      child.exitCode !== null || child.signalCode !== null || Number.isNaN(peakMemoryOf(child.pid!)),
    async stop() {
      child.kill('SIGTERM');
      const killing = setTimeout(() => child.kill('SIGKILL'), STOP_PATIENCE_MS);
      await exited;
      clearTimeout(killing);
    },
  };
}

/** How `npm start` starts node. BENCH_NODE_ARGS come last and win, for profiles (--cpu-prof) and trials of settings. */
function readStart(): { args: string[]; env: Record<string, string> } {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  const [settings = '', command = ''] = scripts.start.split('exec node ');
  const words = (text: string) => text.split(' ').filter((word) => word !== '');
  const given = words(command);
  return {
    args: [...given.slice(0, -1), ...words(process.env.BENCH_NODE_ARGS ?? ''), ...given.slice(-1)],
    env: Object.fromEntries(words(settings).map((setting: string) => setting.split('='))),
  };
}

/** What goes wrong in the service is shown: a figure taken from a run that stumbled is no figure. */
function readUrl(stdout: NodeJS.ReadableStream, isQuiet: boolean): Promise<string> {
  return new Promise((found, failed) => {
    const lines = createInterface({ input: stdout });
    lines.on('line', (line) => {
      const entry = line.startsWith('{') ? JSON.parse(line) : {};
      if (entry.msg === 'Cohort Sync is up') found(entry.url);
      if (!isQuiet && (entry.level === 'warn' || entry.level === 'error' || entry.level >= 40)) {
        process.stderr.write(`${line}\n`);
      }
    });
    lines.on('close', () => failed(new Error('The service ended before it was up.')));
  });
}
