import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

export type LogLine = Record<string, unknown> & { msg: string };

/** A program of ours as a process of its own, as an operator runs it. Killed, if it still runs, when disposed of. */
export interface ServiceProcess extends AsyncDisposable {
  pid: number;
  /** Everything written so far, standard error too. */
  output(): string;
  /** What was written to standard error. */
  errors(): string;
  /** Lines of the log, parsed; what is no JSON is not among them. */
  logs(): LogLine[];
  /** The first line of the log that matches, now or later. Throws when the process ends without it. */
  untilLog(matches: (line: LogLine) => boolean): Promise<LogLine>;
  /** The first text that matches, now or later, of everything written. */
  untilOutput(pattern: RegExp): Promise<string>;
  /** Where it listens, once it is up; empty for a process without a gateway. */
  up(): Promise<string>;
  /** Waits for the end: the exit code, or null when a signal ended it. */
  exited(): Promise<number | null>;
  /** Sends a signal and waits for the end. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null>;
}

const COMPILE_CACHE = join(ROOT, 'node_modules/.cache/compiled');

/** Starts src/main.ts, or another program of ours with arguments, with this environment and nothing of the test's own. */
export function startService(
  env: Record<string, string>,
  program = 'src/main.ts',
  args: readonly string[] = [],
): ServiceProcess {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: ROOT,
    // Compiling the service anew each time would be most of what a start costs.
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: COMPILE_CACHE, PORT: '0', LOG_FORMAT: 'json', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let written = '';
  let errors = '';
  const onOutput: (() => void)[] = [];
  const wake = () => {
    for (const look of onOutput.splice(0)) look();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      written += text;
      wake();
    });
  }
  child.stderr.on('data', (text: string) => {
    errors += text;
  });
  // Not before the pipes are read to their end.
  const ended = once(child, 'close').then(([code]) => code as number | null);
  let isOver = false;
  ended.then(() => {
    isOver = true;
    wake();
  });

  async function until<T>(find: () => T | undefined): Promise<T> {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      if (isOver) throw new Error(`The process ended:\n${written}`);
      await new Promise<void>((look) => onOutput.push(look));
    }
  }

  const service: ServiceProcess = {
    pid: child.pid!,
    output: () => written,
    errors: () => errors,
    logs: () => parseLogs(written),
    untilLog: (matches) => until(() => service.logs().find(matches)),
    untilOutput: (pattern) => until(() => pattern.exec(written)?.[0]),
    async up() {
      return String((await service.untilLog((line) => line.msg === 'Cohort Sync is up')).url ?? '');
    },
    exited: () => ended,
    async end(signal) {
      child.kill(signal);
      return await ended;
    },
    async [Symbol.asyncDispose]() {
      if (!isOver) await service.end('SIGKILL');
    },
  };
  return service;
}

function parseLogs(text: string): LogLine[] {
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);
}
