import { pipeline, requestBytes } from './raw-http.ts';
import { atMost, type Target, type Told } from './target.ts';

const PATIENCE_MS = 30_000;

/** Without a token: whether it is ready, again and again on one connection, without waiting for an answer. */
export async function pipelinedReady(target: Target, { count = 20_000 } = {}): Promise<Told> {
  const told: Told = {};
  await atMost(PATIENCE_MS, pipeline(target, requestBytes('GET /ready'), count, told));
  return told;
}

/** A token that is none, in the same way. */
export async function pipelinedWrongTokens(target: Target, { count = 20_000 } = {}): Promise<Told> {
  const told: Told = {};
  const headers = { authorization: 'Bearer cs_this-is-no-token-of-anybody-at-all-00000000' };
  const request = requestBytes('POST /graphql', headers, '{"query":"{ viewer { role } }"}');
  await atMost(PATIENCE_MS, pipeline(target, request, count, told));
  return told;
}
