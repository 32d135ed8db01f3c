import type { AnyData, ApiClient } from './api-client.ts';

export type Transport = 'WebSocket' | 'server-sent events';
export const TRANSPORTS: readonly Transport[] = ['WebSocket', 'server-sent events'];

/** The values of a subscription, over either transport. */
export async function* watch(
  api: ApiClient,
  transport: Transport,
  query: string,
  variables: Record<string, unknown> = {},
): AsyncGenerator<AnyData> {
  if (transport === 'server-sent events') return yield* api.sse(query, variables);
  const client = api.webSocket();
  try {
    for await (const { data, errors } of client.iterate({ query, variables })) {
      if (errors) throw new Error(`The subscription failed: ${JSON.stringify(errors)}`);
      yield data;
    }
  } finally {
    await client.dispose();
  }
}

/** The first value that is waited for. */
export async function untilValue(
  values: AsyncGenerator<AnyData>,
  isIt: (value: AnyData) => boolean,
): Promise<AnyData> {
  for (;;) {
    const { value, done } = await values.next();
    if (done) throw new Error('The stream ended before it came.');
    if (isIt(value)) return value;
  }
}
