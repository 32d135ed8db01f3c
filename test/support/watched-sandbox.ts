import { type Sandbox, startSandbox } from '../../sandbox/start-sandbox.ts';
import { checkReply, checkRequest } from '../partner-documents/check-exchange.ts';

type Options = NonNullable<Parameters<typeof startSandbox>[0]>;

/**
 * The sandbox, compared with the partners' documents: stopping it throws when it answered otherwise, or was asked otherwise.
 * checksRequests false: what a test sends may be wrong on purpose.
 */
export async function startWatchedSandbox({
  checksRequests = true,
  ...options
}: Omit<Options, 'observe'> & { checksRequests?: boolean } = {}): Promise<Sandbox> {
  const breaches = new Set<string>();
  const sandbox = await startSandbox({
    ...options,
    observe({ request, reply }) {
      const found = [
        ...(checksRequests ? checkRequest(request) : []),
        ...(reply ? checkReply(request, reply) : []),
      ];
      for (const text of found) breaches.add(text);
    },
  });
  return {
    ...sandbox,
    async stop() {
      await sandbox.stop();
      if (breaches.size > 0) {
        throw new Error(`The partners' documents say otherwise:\n${[...breaches].join('\n')}`);
      }
    },
  };
}
