import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { expect, test, vi } from 'vitest';
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

test.each(['src/main.ts', 'src/migrate-main.ts'])(
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
