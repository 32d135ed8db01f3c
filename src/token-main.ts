import { isMigrated } from '../db/migrate.ts';
import { StartError } from './errors.ts';
import { replaceLostToken } from './resolvers/project.ts';
import { runOnDatabase } from './with-database.ts';

/** For whoever has lost the last OWNER token: who may run a program beside the database may do as much. */
await runOnDatabase(async ({ db }) => {
  const secret = (await isMigrated(db)) ? await replaceLostToken(db, new Date()) : undefined;
  if (secret === undefined) {
    throw new StartError(
      'There is no project yet. The first start of the service makes it, and shows its token.',
    );
  }
  // Not to standard output, which is the token and nothing else: TOKEN=$(npm run --silent token).
  process.stderr.write(
    'A new OWNER token of the first project, shown only now. Revoke those that are lost with revokeApiToken.\n',
  );
  return secret;
});
