import { connectDatabase } from '../db/connect.ts';
import { explainConnectError } from '../db/connect-error.ts';
import { startEmbeddedPostgres } from '../db/embedded-postgres.ts';
import { migrateToLatest } from '../db/migrate.ts';
import { generatePassword, keepSecret } from './data-dir.ts';
import { readEnv } from './env.ts';
import { StartError } from './errors.ts';
import { createLogger } from './logger.ts';
import { startBoss } from './sync/boss.ts';

/** Brings the database to this version without starting the service. The service does it itself at every start. */
async function migrate(): Promise<void> {
  const env = readEnv(process.env, process.stdout.isTTY);
  const embedded =
    env.databaseUrl === undefined
      ? await startEmbeddedPostgres({
          dataDir: env.dataDir,
          password: await keepSecret(env.dataDir, 'database-password', generatePassword),
        })
      : undefined;
  const databaseUrl = env.databaseUrl ?? embedded!.url;
  try {
    const database = connectDatabase({ url: databaseUrl });
    try {
      await migrateToLatest(database.db).catch((error) => {
        const reason = explainConnectError(error, databaseUrl);
        throw reason === undefined ? error : new StartError(`DATABASE_URL: ${reason}`, { cause: error });
      });
    } finally {
      await database.stop();
    }
    const boss = await startBoss({ databaseUrl, logger: createLogger(env), supervise: false });
    await boss.stop();
  } finally {
    await embedded?.stop();
  }
}

try {
  await migrate();
  process.stdout.write('The database is up to date.\n');
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
}
