import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { checkDirectory } from '../db/data-directory.ts';
import { createTestDatabase } from './support/database.ts';
import { startService } from './support/service-process.ts';

/** Each test starts processes; a busy machine must not fail it. */
vi.setConfig({ testTimeout: 150_000 });

const ENCRYPTION_KEY = randomBytes(32).toString('base64');

/** A port of this machine that is taken as long as the block lasts. */
async function takePort(): Promise<AsyncDisposable & { port: number }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** Somewhere nobody listens. */
async function freePort(): Promise<number> {
  await using taken = await takePort();
  return taken.port;
}

/** The one line that tells the operator, after the service has given up. */
async function tellOf(env: Record<string, string>, program?: string): Promise<string> {
  await using service = startService({ ENCRYPTION_KEY, ...env }, program);
  expect(await service.exited()).toBe(1);
  expect(service.output()).not.toMatch(/^\s+at /m);
  const fatal = service.logs().filter((line) => line.level === 60);
  return fatal.length > 0 ? fatal.map((line) => line.msg).join('\n') : service.errors().trim();
}

test('a port that is taken is named, with what to do', async () => {
  const database = await createTestDatabase();
  await using taken = await takePort();
  expect(await tellOf({ DATABASE_URL: database.url, PORT: String(taken.port) })).toBe(
    `The service cannot start. PORT: something listens on 127.0.0.1:${taken.port} already. Stop it, or choose another port.`,
  );
  await database.drop();
});

test('an address that the machine does not have is named', async () => {
  const database = await createTestDatabase();
  // Set aside for documentation (RFC 5737).
  expect(await tellOf({ DATABASE_URL: database.url, HOST: '192.0.2.1' })).toMatch(
    /^The service cannot start\. HOST: this machine has no address 192\.0\.2\.1\./,
  );
  await database.drop();
});

test.each(['src/main.ts', 'src/migrate-main.ts', 'src/token-main.ts'])(
  'a database that cannot be used is named by its variable, with the reason and without its password: %s',
  async (program) => {
    const database = await createTestDatabase();
    const urlWith = (change: (url: URL) => void) => {
      const url = new URL(database.url);
      change(url);
      return url.href;
    };
    const port = await freePort();
    const secret = 'do-not-tell-this';
    const cases = [
      {
        url: urlWith((url) => {
          url.host = `127.0.0.1:${port}`;
          url.password = secret;
        }),
        tells: `DATABASE_URL: no database server can be reached at 127.0.0.1:${port} (ECONNREFUSED); start it, or correct the address.`,
      },
      {
        url: urlWith((url) => {
          url.host = encodeURIComponent('/nowhere');
          url.password = secret;
        }),
        tells: 'DATABASE_URL: no database server can be reached at /nowhere:',
      },
      {
        url: urlWith((url) => {
          url.password = secret;
        }),
        tells: `refuses the password of user "${new URL(database.url).username}".`,
      },
      {
        url: urlWith((url) => {
          url.pathname = '/nowhere';
        }),
        tells: 'has no database called "nowhere"; create it.',
      },
    ];
    for (const { url, tells } of cases) {
      const told = await tellOf({ DATABASE_URL: url }, program);
      expect(told).toContain('DATABASE_URL: ');
      expect(told).toContain(tells);
      expect(told).not.toContain(secret);
    }
    await database.drop();
  },
);

async function makeDataDir(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'cohort-sync-start-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

test('data of another PostgreSQL, or of another user, is named at once', async () => {
  await using dataDir = await makeDataDir();
  const directory = join(dataDir.path, 'postgres');
  await mkdir(directory);
  await writeFile(join(directory, 'PG_VERSION'), '9\n');
  const { uid } = await stat(directory);
  const expected = { majorVersion: '18', uid };
  await expect(checkDirectory(directory, expected)).rejects.toThrow(
    /was made by PostgreSQL 9, and this version of the service brings 18\. Move the data/,
  );
  await expect(checkDirectory(directory, { ...expected, uid: uid + 1 })).rejects.toThrow(
    `${directory} belongs to the user ${uid}, and PostgreSQL would run as ${uid + 1}.`,
  );
  await writeFile(join(directory, 'PG_VERSION'), '18\n');
  await checkDirectory(directory, expected);
  await checkDirectory(join(dataDir.path, 'new'), expected);
  await writeFile(join(directory, 'PG_VERSION'), '9\n');
  expect(await tellOf({ DATA_DIR: dataDir.path })).toMatch(
    /^The service cannot start\. DATA_DIR: .*postgres /,
  );
});

test('a file in the place of DATA_DIR is named', async () => {
  await using dataDir = await makeDataDir();
  const file = join(dataDir.path, 'file');
  await writeFile(file, '');
  expect(await tellOf({ DATA_DIR: file })).toMatch(
    /^The service cannot start\. DATA_DIR: there is a file where a directory should be: .*file/,
  );
});

test('a first start says that it sets up a database, a second one does not', async () => {
  await using dataDir = await makeDataDir();
  const said: boolean[] = [];
  for (let start = 0; start < 2; start++) {
    await using service = startService({ DATA_DIR: dataDir.path });
    await service.up();
    said.push(service.logs().some(({ msg }) => msg.startsWith('setting up a PostgreSQL of its own')));
    const up = await service.untilLog(({ msg }) => msg === 'Cohort Sync is up');
    expect(up.partners).toMatchObject({ iterable: { US: 'https://api.iterable.com' } });
    await service.end('SIGTERM');
  }
  expect(said).toEqual([true, false]);
});
