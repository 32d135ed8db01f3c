import type { IterableProject } from '../../sandbox/iterable/project.ts';
import type { Sandbox } from '../../sandbox/start-sandbox.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { startWatchedSandbox } from './watched-sandbox.ts';

export interface BareSandbox extends AsyncDisposable {
  sandbox: Sandbox;
  clock: ManualClock;
}

/** The sandbox alone, with a clock that stands still. */
export async function startBareSandbox(): Promise<BareSandbox> {
  const clock = createManualClock();
  // What a test sends to it may be wrong on purpose.
  const sandbox = await startWatchedSandbox({
    checksRequests: false,
    clock: { now: () => clock.now().getTime() },
  });
  return { sandbox, clock, [Symbol.asyncDispose]: () => sandbox.stop() };
}

/** One request with a key of the project. */
export async function callIterable(
  sandbox: Sandbox,
  project: IterableProject,
  path: string,
  options: { method?: string; body?: unknown; type?: string; apiKey?: string } = {},
): Promise<{ status: number; text: string; json: unknown; contentType: string | null }> {
  const {
    body,
    type = 'application/json',
    apiKey = project.addKey(),
    method = body === undefined ? 'GET' : 'POST',
  } = options;
  const response = await fetch(sandbox.env[`ITERABLE_BASE_URL_${project.dataCenter}`] + path, {
    method,
    headers: { 'api-key': apiKey, 'content-type': type },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const contentType = response.headers.get('content-type');
  return {
    status: response.status,
    text,
    contentType,
    json: contentType === 'application/json' ? JSON.parse(text) : undefined,
  };
}

/** For callIterable: a body of subscribe or unsubscribe. */
export function toListUpdate(listId: number, ...subscribers: unknown[]): { body: object } {
  return { body: { listId, subscribers, channelUnsubscribe: false } };
}
