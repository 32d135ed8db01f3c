import { Agent, request as requestPlainly } from 'node:http';
import { request as requestSecurely, Agent as SecureAgent } from 'node:https';
import type { WebhookAuth, WebhookTarget } from './send-events.ts';

/** Connections to one receiver, which stay open from call to call. */
export interface WebhookLine {
  /** The status of the answer; 0 when none came in time. */
  post(body: string): Promise<number>;
  /** Breaks off what is under way. */
  close(): void;
}

const TIMEOUT_MS = 10_000;

export function openWebhookLine({ url, auth, headers: fixed }: WebhookTarget): WebhookLine {
  const isSecure = url.startsWith('https:');
  const agent = new (isSecure ? SecureAgent : Agent)({ keepAlive: true });
  const request = isSecure ? requestSecurely : requestPlainly;
  const headers = { 'content-type': 'application/json', ...fixed, ...toHeaders(auth) };

  // Not fetch, which has less than half the throughput and keeps a timer per call until it would have run out.
  const post = (body: string) =>
    new Promise<number>((resolve) => {
      const call = request(url, {
        agent,
        method: 'POST',
        headers: { ...headers, 'content-length': Buffer.byteLength(body) },
        timeout: TIMEOUT_MS,
      });
      call.once('timeout', () => call.destroy());
      call.on('error', () => resolve(0));
      call.once('response', (response) => {
        response.once('end', () => resolve(response.statusCode ?? 0));
        response.once('close', () => resolve(0));
        response.resume();
      });
      call.end(body);
    });

  return { post, close: () => agent.destroy() };
}

function toHeaders(auth: WebhookAuth): Record<string, string> {
  if (auth.type === 'none') return {};
  if (auth.type === 'header') return { [auth.header]: auth.token };
  if (auth.type === 'bare') return { authorization: auth.token };
  if (auth.type === 'bearer') return { authorization: `Bearer ${auth.token}` };
  if (auth.type === 'oauth2') return { authorization: `OAuth2 ${auth.token}` };
  const token =
    'token' in auth ? auth.token : Buffer.from(`${auth.username}:${auth.password}`).toString('base64');
  return { authorization: `Basic ${token}` };
}
