import { connectDatabase, type Db } from '../db/connect.ts';
import { explainConnectError } from '../db/connect-error.ts';
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts';
import { generatePassword, keepSecret } from './data-dir.ts';
import { type Env, readEnv } from './env.ts';
import { StartError } from './errors.ts';

/** What a program besides the service works with. */
export interface OpenedDatabase {
  env: Env;
  url: string;
  db: Db;
}

/**
 * Runs a program besides the service on the service's database, the embedded one by default, whether or not the service runs
 * too. What it gives is printed; what goes wrong is one line on standard error, and exit code 1.
 */
export async function runOnDatabase(act: (opened: OpenedDatabase) => Promise<string>): Promise<void> {
  try {
    process.stdout.write(`${await withDatabase(act)}\n`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}

async function withDatabase<T>(act: (opened: OpenedDatabase) => Promise<T>): Promise<T> {
  const env = readEnv(process.env, process.stdout.isTTY);
  const embedded =
    env.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: env.dataDir,
          password: await keepSecret(env.dataDir, 'database-password', generatePassword),
        })
      : undefined;
  const url = env.databaseUrl ?? embedded!.url;
  const database = connectDatabase({ url });
  try {
    return await act({ env, url, db: database.db });
  } catch (error) {
    const reason = explainConnectError(error, url);
    throw reason === undefined ? error : new StartError(`DATABASE_URL: ${reason}`, { cause: error });
  } finally {
    await database.stop();
    await embedded?.stop();
  }
}
