import { insertReceived, type ReceivedEvent } from '../../db/queries/messaging-inbox.ts';
import type { SyncDeps } from '../sync/deps.ts';

/** Of one statement; those that came meanwhile go with the next. */
const MAX_EVENTS = 500;
const MAX_BYTES = 4_000_000;

/** While the database is slow, this much may wait in memory. */
const MAX_WAITING_BYTES = 32_000_000;

/** Keeps events. */
export interface Inbox {
  /** Resolves when the event is stored for good. Rejects when it is not, or when too much waits to be. */
  put(event: ReceivedEvent): Promise<void>;
}

interface Waiting {
  event: ReceivedEvent;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** Events that come while a statement is under way share the next one: many a second cost little more than few. */
export function createInbox({ db }: Pick<SyncDeps, 'db'>): Inbox {
  let waiting: Waiting[] = [];
  let waitingBytes = 0;
  let isWriting = false;

  async function write() {
    isWriting = true;
    while (waiting.length > 0) {
      const batch = takeSome();
      try {
        await insertReceived(
          db,
          batch.map(({ event }) => event),
        );
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
      for (const { event } of batch) waitingBytes -= event.body.length;
    }
    isWriting = false;
  }

  function takeSome(): Waiting[] {
    let bytes = 0;
    const beyond = waiting.findIndex(({ event }, index) => {
      bytes += event.body.length;
      return index > 0 && (index === MAX_EVENTS || bytes > MAX_BYTES);
    });
    const batch = beyond < 0 ? waiting : waiting.slice(0, beyond);
    waiting = beyond < 0 ? [] : waiting.slice(beyond);
    return batch;
  }

  return {
    put: (event) =>
      new Promise((resolve, reject) => {
        if (waitingBytes > MAX_WAITING_BYTES) throw new Error('Too many events wait to be stored.');
        waitingBytes += event.body.length;
        waiting.push({ event, resolve, reject });
        if (!isWriting) void write();
      }),
  };
}
