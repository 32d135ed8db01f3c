import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createTestDatabase } from './support/database.ts';
import { takePorts } from './support/ports.ts';
import { type ServiceProcess, startService } from './support/service-process.ts';
import { startTestApp } from './support/test-app.ts';

/** Each test starts processes; a busy machine must not fail it. */
vi.setConfig({ testTimeout: 150_000 });

/** Of two sandboxes, nine ports each, and one more that nobody listens on. */
const FIRST_PORT = takePorts(20);

test('the sandbox prints the line that starts the service against it, and its keys outlive a restart', async () => {
  const env = { SANDBOX_PORT: String(FIRST_PORT) };
  const says: string[] = [];
  for (let start = 0; start < 2; start++) {
    await using sandbox = startService(env, 'sandbox/main.ts');
    says.push(await sandbox.untilOutput(/_control\n/));
    if (start === 0) {
      const output = sandbox.output();
      expect(output).toMatch(
        /^ {2}DATA_DIR=\.data-sandbox ITERABLE_BASE_URL_US=http:\/\/127\.0\.0\.1:\d+ .* npm start$/m,
      );
      const [, key] = /Iterable API key: +(\S+)/.exec(output)!;
      const lists = await fetch(`http://127.0.0.1:${FIRST_PORT}/api/lists`, { headers: { 'api-key': key! } });
      expect(lists.status).toBe(200);
      await using second = startService(env, 'sandbox/main.ts');
      expect(await second.exited()).toBe(1);
      expect(second.errors().trim()).toBe(
        `The sandbox cannot start: one of its nine ports from ${FIRST_PORT} on is taken. Stop what listens there, or set SANDBOX_PORT to another number.`,
      );
    }
    says[start] = sandbox.output();
    expect(await sandbox.end('SIGTERM')).toBe(0);
  }
  expect(says[1]).toBe(says[0]);
});

test('a command for the sandbox that cannot be done says why, and does nothing', async () => {
  const env = { SANDBOX_PORT: String(FIRST_PORT + 10) };
  const refused = async (...args: string[]) => {
    await using command = startService(env, 'sandbox/main.ts', args);
    expect(await command.exited()).toBe(1);
    return command.errors();
  };
  expect(await refused('show')).toBe(
    `No sandbox runs at http://127.0.0.1:${FIRST_PORT + 18}. Start one with npm run sandbox.\n`,
  );
  await using sandbox = startService(env, 'sandbox/main.ts');
  await sandbox.untilOutput(/_control\n/);
  expect(await refused('grow', 'Champions', '5')).toMatch(/^There is no command grow\. There are:\n/);
  expect(await refused('shrink', 'Champions')).toMatch(/^shrink takes <cohort> <people>\./);
  expect(await refused('shrink', 'Champion', '5')).toMatch(
    /^Mixpanel has no cohort Champion\. It has Paying customers, /,
  );
  expect(await refused('shrink', 'Champions', 'five')).toBe('five is no number of people or events.\n');
  expect(await refused('list', 'Champions')).toBe('Iterable has no list Champions.\n');
  await using command = startService(env, 'sandbox/main.ts', ['show']);
  expect(await command.exited()).toBe(0);
  expect(command.output()).toContain('cohort  Champions: 12\n');
}, 240_000);

test('the demo takes another port when the usual one is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((listening) => server.once('listening', listening));
  const { port } = server.address() as { port: number };
  await using demo = startService({ PORT: String(port) }, 'scripts/demo.ts');
  await demo.untilOutput(new RegExp(`Port ${port} is taken, so the service takes another one\\.`));
  const up = await demo.untilOutput(/Up after [\d.]+ s: http:\/\/127\.0\.0\.1:\d+/);
  expect(up).not.toContain(`:${port}`);
  expect(await demo.end('SIGTERM')).toBe(0);
  server.close();
});

test('whoever has lost the token makes another one on the machine, while the service runs', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await using program = startService({ ...app.env, PORT: '0' }, 'src/token-main.ts');
  expect(await program.exited()).toBe(0);
  const secret = program.output().replace(program.errors(), '').trim();
  expect(secret).toMatch(/^cs_\S+$/);
  expect(program.errors()).toContain('A new OWNER token of the first project, shown only now.');
  const { viewer } = await app.as(secret).query('{ viewer { role tokenName project { name } } }');
  expect(viewer).toEqual({
    role: 'OWNER',
    tokenName: 'Made on the machine',
    project: { name: 'Default project' },
  });
});

test('before the first start there is nothing to make a token for', async () => {
  const database = await createTestDatabase();
  const env = { DATABASE_URL: database.url, ENCRYPTION_KEY: Buffer.alloc(32).toString('base64') };
  await using program = startService(env, 'src/token-main.ts');
  expect(await program.exited()).toBe(1);
  expect(program.errors().trim()).toBe(
    'There is no project yet. The first start of the service makes it, and shows its token.',
  );
  await database.drop();
});

/** Where a demo keeps what it needs, and what is left there. */
async function makeTemporaryDirectory(): Promise<
  AsyncDisposable & { path: string; left(): Promise<string[]> }
> {
  const path = await mkdtemp(join(tmpdir(), 'cohort-sync-programs-'));
  return {
    path,
    left: () => readdir(path),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

test('two demos at once, beside a service, have ports and data of their own and leave nothing behind', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await using temporary = await makeTemporaryDirectory();
  const env = { PORT: new URL(app.url).port, TMPDIR: temporary.path };
  const start = () => startService(env, 'scripts/demo.ts');
  await using first = start();
  await using second = start();
  const upOf = (demo: ServiceProcess) => demo.untilOutput(/Up after [\d.]+ s: http:\/\/127\.0\.0\.1:\d+/);
  const urls = (await Promise.all([first, second].map(upOf))).map((text) => text.split('s: ')[1]);
  expect(new Set([app.url, ...urls]).size).toBe(3);
  expect(await temporary.left()).toHaveLength(2);
  for (const demo of [first, second]) {
    // The terminal tells it, and npm once more.
    process.kill(demo.pid, 'SIGINT');
    process.kill(demo.pid, 'SIGINT');
  }
  expect(await Promise.all([first.exited(), second.exited()])).toEqual([0, 0]);
  for (const demo of [first, second]) expect(demo.output()).not.toContain('failed');
  expect(await temporary.left()).toEqual([]);
});

test('a demo that is interrupted while it starts leaves nothing behind', async () => {
  await using temporary = await makeTemporaryDirectory();
  await using demo = startService({ PORT: '0', TMPDIR: temporary.path }, 'scripts/demo.ts');
  await demo.untilOutput(/Starting the sandbox/);
  await expect.poll(() => temporary.left(), { timeout: 10_000 }).toHaveLength(1);
  expect(await demo.end('SIGTERM')).toBe(0);
  expect(demo.output()).not.toContain('failed');
  expect(await temporary.left()).toEqual([]);
});

test.each([
  ['start', /"url":"(http:[^"]+)"/],
  ['demo', /Up after [\d.]+ s: (http:\S+)/],
  ['sandbox', /Controls .* (http:\S+)/],
])('a TERM to npm run %s ends what npm has started, and nobody listens any more', async (script, listens) => {
  const database = await createTestDatabase();
  await using temporary = await makeTemporaryDirectory();
  const npm = spawn('npm', ['run', script], {
    env: {
      PATH: process.env.PATH,
      HOME: temporary.path,
      TMPDIR: temporary.path,
      PORT: '0',
      SANDBOX_PORT: String(FIRST_PORT),
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  npm.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const ended = once(npm, 'close');
  onTestFinished(() => void npm.kill('SIGTERM'));
  await expect.poll(() => output, { timeout: 60_000 }).toMatch(listens);
  const url = listens.exec(output)![1]!;
  expect((await fetch(url)).status).toBeLessThan(500);
  npm.kill('SIGTERM');
  // The pipe closes when the last one who holds it is gone.
  await ended;
  await expect(fetch(url)).rejects.toThrow('fetch failed');
  await database.drop();
});
