import type { IncomingMessage, ServerResponse } from 'node:http';
import { findEndpointByKey, noteReceived } from '../../db/queries/webhook-endpoint.ts';
import { checkEvent, EventUnusableError } from '../events/read-event.ts';
import type { Inbox } from '../events/receive-event.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { hasToken } from '../sync/webhook-endpoint.ts';
import { discardBody, readBody } from './body.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;

interface Answer {
  status: number;
  message?: string;
}

/**
 * Iterable's system webhook, one event a call. What was answered with 200 is stored; everything else that happens to it comes
 * later. Iterable comes again after anything but a 2xx.
 */
export async function handleIterableWebhook(
  { sync, inbox }: { sync: SyncDeps; inbox: Inbox },
  key: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const answer = await receive().catch((error): Answer => {
    if (error instanceof EventUnusableError) return { status: 400, message: error.message };
    if (request.errored === error) throw error;
    sync.logger.warn({ err: error }, 'an event of Iterable could not be stored; it comes again');
    return { status: 503, message: 'Cohort Sync cannot store it now.' };
  });
  if (!request.complete) discardBody(request);
  response.statusCode = answer.status;
  response.setHeader('content-type', 'application/json; charset=utf-8');
  if (answer.status === 401) response.setHeader('www-authenticate', 'Basic realm="Cohort Sync"');
  response.end(
    JSON.stringify(
      answer.status === 200 ? { status: 'success' } : { status: 'failure', message: answer.message },
    ),
  );

  async function receive(): Promise<Answer> {
    const found = await findEndpointByKey(sync.db, 'ITERABLE', key);
    if (!found) return { status: 404, message: 'Cohort Sync has no webhook with this address.' };
    if (request.method !== 'POST') return { status: 405, message: 'Send a POST.' };
    const { endpoint } = found;
    const { username, password } = endpoint;
    if (!hasToken(request.headersDistinct, { username, password: sync.secrets.decrypt(password) })) {
      return { status: 401, message: 'The token is missing or wrong.' };
    }
    const chunks = await readBody(request, MAX_BODY_BYTES);
    if (!chunks) return { status: 413, message: `The body is larger than ${MAX_BODY_BYTES} bytes.` };
    const body = checkEvent(Buffer.concat(chunks));
    const receivedAt = sync.clock.now();
    await inbox.put({ projectId: endpoint.project_id, receivedAt, body });
    await noteReceived(sync.db, endpoint, receivedAt);
    return { status: 200 };
  }
}
