import { migrateToLatest } from '../db/migrate.ts';
import { createLogger } from './logger.ts';
import { startBoss } from './sync/boss.ts';
import { runOnDatabase } from './with-database.ts';

/** Brings the database to this version without starting the service. The service does it itself at every start. */
await runOnDatabase(async ({ env, url, db }) => {
  await migrateToLatest(db);
  const boss = await startBoss({ databaseUrl: url, logger: createLogger(env), supervise: false });
  await boss.stop();
  return 'The database is up to date.';
});
