import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { megabytes, printResults, seconds, tell } from './support/results.ts';

/** What a newcomer waits for, in a fresh clone of the last commit: installing, the demo, a first and a second start of the service. */
const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '..');
const folder = await mkdtemp(join(tmpdir(), 'cohort-sync-first-minutes-'));
// The embedded PostgreSQL of root works as somebody else.
await chmod(folder, 0o755);
const clone = join(folder, 'cohort-sync');
const env = { ...process.env, DATABASE_URL: '', PORT: '0', LOG_FORMAT: 'json' };

async function time<T>(act: () => Promise<T>): Promise<{ seconds: number; result: T }> {
  const startedAt = performance.now();
  const result = await act();
  return { seconds: (performance.now() - startedAt) / 1000, result };
}

/** Seconds until the service says that it is up, and what it and its PostgreSQL take then, in bytes. */
async function start() {
  const child = spawn('npm', ['start'], { cwd: clone, env, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const { seconds } = await time(
    () =>
      new Promise<void>((up, reject) => {
        let log = '';
        child.stdout.setEncoding('utf8').on('data', (text: string) => {
          log += text;
          if (log.includes('Cohort Sync is up')) up();
        });
        ended.then(() => reject(new Error(`The service ended: ${log}`)));
      }),
  );
  // npm's shell has become the service, which is npm's only child.
  const [service] = (await readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).split(' ');
  const [, peak] = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${service}/status`, 'utf8'))!;
  process.kill(Number(service), 'SIGTERM');
  await ended;
  return { seconds, peak: Number(peak) * 1024 };
}

const sizeOf = async (path: string) =>
  Number((await run('du', ['-s', '--block-size=1', join(clone, path)])).stdout.split('\t')[0]);

try {
  await run('git', ['clone', '--quiet', ROOT, clone]);
  tell('npm ci');
  const install = await time(() => run('npm', ['ci'], { cwd: clone, env }));
  tell('npm run demo -- --once');
  const demo = await time(() => run('npm', ['run', 'demo', '--', '--once'], { cwd: clone, env }));
  tell('npm start, twice');
  const first = await start();
  const second = await start();
  printResults('The first minutes, in a fresh clone', [
    { what: '`npm ci`', measured: seconds(install.seconds) },
    { what: '`node_modules`', measured: megabytes(await sizeOf('node_modules')) },
    { what: '`npm run demo -- --once`', measured: seconds(demo.seconds) },
    { what: '`npm start` until it is up, the first time', measured: seconds(first.seconds) },
    { what: 'the second time', measured: seconds(second.seconds) },
    { what: 'memory of the service then, without PostgreSQL', measured: megabytes(second.peak) },
    { what: '`.data` with nothing in it', measured: megabytes(await sizeOf('.data')) },
  ]);
} finally {
  await rm(folder, { recursive: true, force: true });
}
