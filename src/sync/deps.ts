import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import type { Clock } from '../clock.ts';
import type { Env } from '../env.ts';
import type { Secrets } from '../secrets.ts';
import type { IterableTurns } from './iterable-turns.ts';
import type { JobQueue } from './job-queue.ts';
import type { MixpanelSlots } from './mixpanel-slots.ts';
import type { Seats } from './seats.ts';

/** What the sync side of the service works with; made once in app.ts. */
export interface SyncDeps {
  db: Db;
  clock: Clock;
  env: Env;
  secrets: Secrets;
  jobs: JobQueue;
  mixpanelSlots: MixpanelSlots;
  iterableTurns: IterableTurns;
  seats: Seats;
  logger: Logger;
}
