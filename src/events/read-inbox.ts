import { setAside } from '../../db/queries/messaging-filing.ts';
import type { InboxEvent } from '../../db/queries/messaging-inbox.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { SET_ASIDE } from './begin-filing.ts';
import { findBoundsFault, type MessagingEvent, readEvent } from './read-event.ts';

const UNREADABLE = 'It is no JSON that can be read.';

export type ReadEvent = MessagingEvent & { receivedAt: Date };

/** What cannot be read is set aside: it was stored by a version that took it. Within a transaction. */
export async function readInbox(
  { db, clock, logger }: Pick<SyncDeps, 'db' | 'clock' | 'logger'>,
  projectId: string,
  inbox: readonly InboxEvent[],
): Promise<ReadEvent[]> {
  const read: ReadEvent[] = [];
  for (const { id, body, receivedAt } of inbox) {
    const fault = findBoundsFault(Buffer.from(body));
    const event = fault === undefined ? tryReadEvent(body, receivedAt) : undefined;
    if (event) {
      read.push({ ...event, receivedAt });
      continue;
    }
    const reason = fault ?? UNREADABLE;
    await setAside(db, { ids: [id], reason, now: clock.now() });
    logger.warn({ projectId, id, reason }, SET_ASIDE);
  }
  return read;
}

function tryReadEvent(body: string, receivedAt: Date): MessagingEvent | undefined {
  try {
    return readEvent(body, receivedAt);
  } catch {
    return undefined;
  }
}
