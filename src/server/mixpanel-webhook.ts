import type { IncomingMessage, ServerResponse } from 'node:http';
import { findEndpointByKey, noteReceived } from '../../db/queries/webhook-endpoint.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { type Push, PushUnusableError, readPush } from '../sync/sources/pushed/read-push.ts';
import { receivePush } from '../sync/sources/pushed/receive-push.ts';
import { hasCredentials } from '../sync/webhook-endpoint.ts';
import { BodyError, readBody, sendEarly } from './body.ts';

const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Mixpanel comes again; it is told when, though nobody knows whether it listens. */
const RETRY_AFTER_SECONDS = 10;

interface Answer {
  status: number;
  message?: string;
}

/**
 * Mixpanel's cohort webhook. The status is what counts: 400, 401, 403 and 404 pause the sync in Mixpanel until somebody sees to
 * it, 503 makes it come again. What was answered with 200 is stored.
 */
export async function handleMixpanelWebhook(
  sync: SyncDeps,
  key: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  let action: Push['action'] | undefined;
  const answer = await receive().catch((error): Answer => {
    if (error instanceof PushUnusableError) return { status: 400, message: error.message };
    if (error instanceof BodyError) return { status: error.status, message: error.message };
    if (request.errored === error) throw error;
    sync.logger.warn({ err: error }, 'what Mixpanel pushed could not be stored; it comes again');
    return { status: 503, message: 'Cohort Sync cannot store it now.' };
  });
  const error = { message: answer.message, code: answer.status };
  const isSuccess = answer.status === 200;
  sendEarly(request, response, {
    status: answer.status,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...(answer.status === 503 ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {}),
      ...(answer.status === 401 ? { 'www-authenticate': 'Basic realm="Cohort Sync"' } : {}),
    },
    text: JSON.stringify({
      action,
      status: isSuccess ? 'success' : 'failure',
      ...(isSuccess ? {} : { error }),
    }),
  });

  async function receive(): Promise<Answer> {
    const found = await findEndpointByKey(sync.db, 'MIXPANEL', key);
    if (!found) return { status: 404, message: 'Cohort Sync has no webhook with this address.' };
    if (request.method !== 'POST') return { status: 405, message: 'Send a POST.' };
    const { endpoint, mixpanelProjectId } = found;
    const { username, password } = endpoint;
    if (
      !hasCredentials(request.headers.authorization, { username, password: sync.secrets.decrypt(password) })
    ) {
      return { status: 401, message: 'Username or password is wrong.' };
    }
    if (mixpanelProjectId === null) {
      return { status: 503, message: 'Cohort Sync is not connected to Mixpanel now.' };
    }
    // The bytes are not kept while what they say is stored.
    const push = await readBody(request, { maxBytes: MAX_BODY_BYTES }).then(readPush);
    action = push.action;
    await receivePush(sync, { projectId: endpoint.project_id, mixpanelProjectId }, push);
    await noteReceived(sync.db, endpoint, sync.clock.now());
    return { status: 200 };
  }
}
