import { Migrator } from 'kysely/migration';
import type { Db } from './connect.ts';
import * as initial from './migrations/0001-initial.ts';
import * as connections from './migrations/0002-connections.ts';
import * as blocks from './migrations/0003-blocks.ts';
import * as ledgerRetention from './migrations/0006-ledger-retention.ts';
import * as peopleSegments from './migrations/0007-people-segments.ts';
import * as removalGuard from './migrations/0008-removal-guard.ts';
import * as turns from './migrations/0009-turns.ts';
import * as mixpanelQueries from './migrations/0010-mixpanel-queries.ts';
import * as mixpanelWebhook from './migrations/0011-mixpanel-webhook.ts';
import * as messaging from './migrations/0012-messaging.ts';
import * as eventsSetAside from './migrations/0013-events-set-aside.ts';
import * as announceQueries from './migrations/0014-announce-queries.ts';
import * as rateLimits from './migrations/0015-rate-limits.ts';
import * as sourceNotes from './migrations/0016-source-notes.ts';
import * as runFacts from './migrations/0017-run-facts.ts';
import * as cancelRequestedBy from './migrations/0018-cancel-requested-by.ts';

/** In order of their numbers; a merged one is never edited. */
const migrations = {
  '0001-initial': initial,
  '0002-connections': connections,
  '0003-blocks': blocks,
  '0006-ledger-retention': ledgerRetention,
  '0007-people-segments': peopleSegments,
  '0008-removal-guard': removalGuard,
  '0009-turns': turns,
  '0010-mixpanel-queries': mixpanelQueries,
  '0011-mixpanel-webhook': mixpanelWebhook,
  '0012-messaging': messaging,
  '0013-events-set-aside': eventsSetAside,
  '0014-announce-queries': announceQueries,
  '0015-rate-limits': rateLimits,
  '0016-source-notes': sourceNotes,
  '0017-run-facts': runFacts,
  '0018-cancel-requested-by': cancelRequestedBy,
};

/** Brings the database to the newest migration. Any number of processes may call it at once: the first
 *  does the work under an advisory lock, the others wait for it. Throws what the failing statement threw. */
export async function migrateToLatest(db: Db): Promise<void> {
  const { error } = await createMigrator(db).migrateToLatest();
  if (error !== undefined) throw error;
}

/** True when every migration that this version knows has been applied. */
export async function isMigrated(db: Db): Promise<boolean> {
  const known = await createMigrator(db).getMigrations();
  return known.every((migration) => migration.executedAt !== undefined);
}

function createMigrator(db: Db): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => migrations } });
}
