import { deleteOldMessagingEvents } from '../../db/queries/messaging-event.ts';
import { deleteOldSetAside } from '../../db/queries/messaging-filing.ts';
import { deleteOldPeople } from '../../db/queries/messaging-usage.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { oldestMonthOfPeople } from './event-time.ts';

const ROWS_AT_A_TIME = 2_000;
/** A beat deletes at most this often, so that nobody waits long for a connection. */
const MOST_DELETES = 100;

/** Events that wait for nothing and are older than the setting; and, after a year, who the people of a month were. Sums stay. */
export async function forgetEvents(
  { db, clock, env }: Pick<SyncDeps, 'db' | 'clock' | 'env'>,
  signal?: AbortSignal,
): Promise<void> {
  const now = clock.now();
  if (env.messagingEventRetentionMs !== undefined) {
    const before = new Date(now.getTime() - env.messagingEventRetentionMs);
    await inParts(() => deleteOldMessagingEvents(db, before, ROWS_AT_A_TIME), signal);
    await inParts(() => deleteOldSetAside(db, before, ROWS_AT_A_TIME), signal);
  }
  await inParts(() => deleteOldPeople(db, oldestMonthOfPeople(now), ROWS_AT_A_TIME), signal);
}

async function inParts(deleteSome: () => Promise<number>, signal: AbortSignal | undefined): Promise<void> {
  for (let count = 0; count < MOST_DELETES && !signal?.aborted; count++) {
    if ((await deleteSome()) === 0) return;
  }
}
