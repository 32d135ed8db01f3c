import { chmod, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import { createApiClient } from './support/api-client.ts';
import { type ServiceProcess, startService } from './support/service-process.ts';

/** Each test starts services and servers; a busy machine must not fail it. */
vi.setConfig({ testTimeout: 150_000 });

/** 32 characters, as BOOTSTRAP_TOKEN wants them: known to the test, so that any start of the service knows it. */
const TOKEN = 'owner-of-a-test-0123456789abcdef';

interface DataDir extends AsyncDisposable {
  path: string;
  start(): ServiceProcess;
  /** The process of the PostgreSQL server. Throws ENOENT when it has been stopped: then it has removed its file. */
  postmaster(): Promise<number>;
  /** Somebody who looks into the database besides the services. */
  query(text: string): Promise<Record<string, unknown>[]>;
}

/** A data directory of the test's own; a server that still runs in it is ended with the test. */
async function createDataDir(mode = 0o755): Promise<DataDir> {
  const path = await mkdtemp(join(tmpdir(), 'cohort-sync-data-'));
  await chmod(path, mode);
  const pidFile = join(path, 'postgres', 'postmaster.pid');
  const dataDir: DataDir = {
    path,
    start: () => startService({ DATA_DIR: path, BOOTSTRAP_TOKEN: TOKEN }),
    async postmaster() {
      return Number((await readFile(pidFile, 'utf8')).split('\n')[0]);
    },
    async query(text) {
      const [, , , port] = (await readFile(pidFile, 'utf8')).split('\n');
      const password = await readFile(join(path, 'database-password'), 'utf8');
      const client = new pg.Client({
        connectionString: `postgres://cohort_sync:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
      });
      await client.connect();
      try {
        return (await client.query(text)).rows;
      } finally {
        await client.end();
      }
    },
    async [Symbol.asyncDispose]() {
      const pid = await dataDir.postmaster().catch(() => undefined);
      // SIGQUIT: it ends at once, and its children with it.
      if (pid !== undefined && isAlive(pid)) process.kill(pid, 'SIGQUIT');
      await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  return dataDir;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Leaves something in the database that a later start must find. */
async function leaveMark(url: string): Promise<void> {
  await createApiClient(url, TOKEN).query(
    `mutation { createApiToken(input: { name: "Mark", role: ANALYST }) { secret } }`,
  );
}

async function readMarks(url: string): Promise<string[]> {
  const { apiTokens } = await createApiClient(url, TOKEN).query(`{ apiTokens { edges { node { name } } } }`);
  return apiTokens.edges.map((edge: { node: { name: string } }) => edge.node.name);
}

test('a first start makes a server and a clean stop leaves none running', async () => {
  await using dataDir = await createDataDir();
  await using service = dataDir.start();
  await service.up();
  const postmaster = await dataDir.postmaster();
  expect(isAlive(postmaster)).toBe(true);
  expect(await service.end('SIGTERM')).toBe(0);
  await expect(dataDir.postmaster()).rejects.toThrow('ENOENT');
});

test('the secrets that are kept in the data directory are readable by their owner alone', async () => {
  await using dataDir = await createDataDir();
  await using service = dataDir.start();
  await service.up();
  expect((await readdir(dataDir.path)).sort()).toEqual(['database-password', 'encryption-key', 'postgres']);
  for (const name of ['database-password', 'encryption-key']) {
    expect((await stat(join(dataDir.path, name))).mode & 0o777).toBe(0o600);
  }
  expect((await stat(join(dataDir.path, 'postgres'))).mode & 0o077).toBe(0);
});

test('it works in a directory that nobody else may enter, also for root', async () => {
  await using dataDir = await createDataDir(0o700);
  await using service = dataDir.start();
  const url = await service.up();
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  expect(await service.end('SIGTERM')).toBe(0);
});

test('a directory whose path is too long for a socket is reached over TCP', async () => {
  await using outer = await createDataDir();
  const path = join(outer.path, 'x'.repeat(100));
  await using service = startService({ DATA_DIR: path, BOOTSTRAP_TOKEN: TOKEN });
  const url = await service.up();
  const [, , , , socketDirectory] = (await readFile(join(path, 'postgres', 'postmaster.pid'), 'utf8')).split(
    '\n',
  );
  expect(socketDirectory).toBe('');
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  expect(await service.end('SIGTERM')).toBe(0);
});

test('two services that start at once on one directory share one server', async () => {
  await using dataDir = await createDataDir();
  await using one = dataDir.start();
  await using other = dataDir.start();
  const [oneUrl, otherUrl] = await Promise.all([one.up(), other.up()]);
  await leaveMark(oneUrl);
  expect(await readMarks(otherUrl)).toContain('Mark');
  const gateways = await dataDir.query(
    `select pid from pg_stat_activity where application_name = 'cohort-sync-listener'`,
  );
  expect(gateways).toHaveLength(2);
});

test('a service that stops leaves the server to the other one, and the last one ends it', async () => {
  await using dataDir = await createDataDir();
  await using one = dataDir.start();
  await one.up();
  const postmaster = await dataDir.postmaster();
  await using other = dataDir.start();
  const otherUrl = await other.up();
  expect(await one.end('SIGTERM')).toBe(0);
  expect((await fetch(`${otherUrl}/ready`)).status).toBe(200);
  expect(await dataDir.postmaster()).toBe(postmaster);
  expect(await other.end('SIGTERM')).toBe(0);
  await expect(dataDir.postmaster()).rejects.toThrow('ENOENT');
});

test('after a kill -9 of the service the next start takes the running server over, with the data', async () => {
  await using dataDir = await createDataDir();
  await using killed = dataDir.start();
  await leaveMark(await killed.up());
  const postmaster = await dataDir.postmaster();
  await killed.end('SIGKILL');
  expect(isAlive(postmaster)).toBe(true);
  await using next = dataDir.start();
  expect(await readMarks(await next.up())).toContain('Mark');
  expect(await dataDir.postmaster()).toBe(postmaster);
  expect(await next.end('SIGTERM')).toBe(0);
  await expect(dataDir.postmaster()).rejects.toThrow('ENOENT');
});

test('after a kill -9 of the service and of the server the next start recovers the data', async () => {
  await using dataDir = await createDataDir();
  await using killed = dataDir.start();
  await leaveMark(await killed.up());
  const postmaster = await dataDir.postmaster();
  process.kill(postmaster, 'SIGKILL');
  await killed.end('SIGKILL');
  await using next = dataDir.start();
  expect(await readMarks(await next.up())).toContain('Mark');
  expect(await dataDir.postmaster()).not.toBe(postmaster);
});

test('a wrong password in the data directory is told as such, and nothing is started', async () => {
  await using dataDir = await createDataDir();
  await using first = dataDir.start();
  await first.up();
  await rm(join(dataDir.path, 'database-password'));
  await using second = dataDir.start();
  expect(await second.exited()).toBe(1);
  expect(second.output()).toContain('does not accept the password kept beside it');
});
