import type { IncomingMessage, ServerResponse } from 'node:http';
import { findEndpointByKey, noteReceived } from '../../db/queries/webhook-endpoint.ts';
import type { WebhookEndpointRow } from '../../db/webhook-tables.ts';
import { checkEvent, EventUnusableError } from '../events/read-event.ts';
import { createInbox, type Inbox } from '../events/receive-event.ts';
import { createSharedLookup } from '../shared-lookup.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { hasToken } from '../sync/webhook-endpoint.ts';
import { BodyError, readBody, sendEarly } from './body.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;

interface Answer {
  status: number;
  message?: string;
}

/** What a call of the webhook has to do with. */
export interface EventReceiver {
  sync: SyncDeps;
  inbox: Inbox;
  /** By the key in the address. */
  findEndpoint(key: string): Promise<{ row: WebhookEndpointRow; password: string } | undefined>;
}

export function createEventReceiver(sync: SyncDeps): EventReceiver {
  return {
    sync,
    inbox: createInbox(sync),
    // Hundreds of calls a second ask for the same one.
    findEndpoint: createSharedLookup(async (key) => {
      const found = await findEndpointByKey(sync.db, 'ITERABLE', key);
      return found && { row: found.endpoint, password: sync.secrets.decrypt(found.endpoint.password) };
    }),
  };
}

/**
 * Iterable's system webhook, one event a call. What was answered with 200 is stored; everything else that happens to it comes
 * later. Iterable tries again after anything but a 2xx.
 */
export async function handleIterableWebhook(
  { sync, inbox, findEndpoint }: EventReceiver,
  key: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await receive().catch((error): Answer => {
    if (error instanceof EventUnusableError) return { status: 400, message: error.message };
    if (error instanceof BodyError) return { status: error.status, message: error.message };
    if (request.errored === error) throw error;
    sync.logger.warn({ err: error }, 'an event of Iterable could not be stored; it comes again');
    return { status: 503, message: 'Cohort Sync cannot store it now.' };
  });
  sendEarly(request, response, {
    status: answer.status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(answer.status === 401 ? { 'www-authenticate': 'Basic realm="Cohort Sync"' } : {}),
    },
    text: JSON.stringify(
      answer.status === 200 ? { status: 'success' } : { status: 'failure', message: answer.message },
    ),
  });

  async function receive(): Promise<Answer> {
    const endpoint = await findEndpoint(key);
    if (!endpoint) return { status: 404, message: 'Cohort Sync has no webhook with this address.' };
    if (request.method !== 'POST') return { status: 405, message: 'Send a POST.' };
    const { row, password } = endpoint;
    if (!hasToken(request.headersDistinct, { username: row.username, password })) {
      return { status: 401, message: 'The token is missing or wrong.' };
    }
    const body = checkEvent(await readBody(request, { maxBytes: MAX_BODY_BYTES }));
    const receivedAt = sync.clock.now();
    await inbox.put({ projectId: row.project_id, receivedAt, body });
    await noteReceived(sync.db, row, receivedAt);
    return { status: 200 };
  }
}
