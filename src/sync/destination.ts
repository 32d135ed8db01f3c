import { setTimeout as wait } from 'node:timers/promises';
import type { Db } from '../../db/connect.ts';
import { postponeSlots, reserveSlot } from '../../db/queries/pacer.ts';
import type { IterableClient } from './iterable/client.ts';
import { InvalidListError, IterableError, RateLimitedError, UnauthorizedError } from './iterable/errors.ts';
import { withRetries } from './retry.ts';
import { RunFailure } from './run-outcome.ts';

/** Iterable allows five reads of a list's users a minute. */
const LIST_READ_INTERVAL_MS = 12_000;
/** One per cent slower than allowed: requests do not arrive exactly as far apart as they left. */
const PACE_MARGIN = 1.01;
/** However long Iterable says to wait, it is asked again after this: the number may be nonsense. */
const MAX_POSTPONE_MS = 120_000;

export type RequestKind = 'write' | 'listRead';

/** One Iterable project as a run writes to it: at the agreed pace, patiently, and counted. */
export interface Destination {
  /**
   * One request at its turn, retried within the budget; a send that makes more than one awaits nextTurn before each
   * further one. Throws RunFailure when Iterable refuses the key or stays away, and what the client throws otherwise.
   */
  request<T>(
    kind: RequestKind,
    send: (client: IterableClient, nextTurn: () => Promise<void>) => Promise<T>,
  ): Promise<T>;
}

export interface DestinationOptions {
  db: Db;
  client: IterableClient;
  integrationId: string;
  /** 0: no pacing. */
  requestsPerSecond: number;
  retryBudgetMs: number;
  /** Ends waits; a request on its way is not touched. */
  halt: AbortSignal;
  onRequest: () => void;
}

export function createDestination(options: DestinationOptions): Destination {
  const { db, client, halt } = options;

  async function takeTurn(kind: RequestKind) {
    halt.throwIfAborted();
    const intervalMs =
      kind === 'listRead' ? LIST_READ_INTERVAL_MS : (1000 / options.requestsPerSecond) * PACE_MARGIN;
    if (intervalMs !== Number.POSITIVE_INFINITY) {
      const waitMs = await reserveSlot(db, paceKey(kind), intervalMs);
      if (waitMs >= 1) await wait(waitMs, undefined, { signal: halt });
    }
    options.onRequest();
  }

  const paceKey = (kind: RequestKind) => `iterable:${options.integrationId}:${kind}`;

  return {
    async request(kind, send) {
      try {
        return await withRetries(
          async () => {
            const nextTurn = () => takeTurn(kind);
            await nextTurn();
            try {
              return await send(client, nextTurn);
            } catch (error) {
              // What one process is told to wait, all of them wait.
              if (error instanceof RateLimitedError && error.retryAfterMs !== undefined) {
                await postponeSlots(db, paceKey(kind), Math.min(error.retryAfterMs, MAX_POSTPONE_MS));
              }
              throw error;
            }
          },
          { budgetMs: options.retryBudgetMs, signal: halt },
        );
      } catch (error) {
        halt.throwIfAborted();
        throw toRunFailure(error);
      }
    },
  };
}

/** What the run's user is told; errors that the run can deal with pass unchanged. */
function toRunFailure(error: unknown): unknown {
  if (error instanceof UnauthorizedError) {
    return new RunFailure(
      'DESTINATION_UNAUTHORIZED',
      `${error.message} Connect Iterable again with a working key.`,
      {
        retryable: false,
        cause: error,
      },
    );
  }
  if (error instanceof IterableError && error.retryable) {
    return new RunFailure(
      'DESTINATION_UNAVAILABLE',
      `Iterable could not be reached in time: ${error.message} The next run tries again.`,
      { retryable: true, cause: error },
    );
  }
  return error;
}

/** For answers that no caller knows how to go on after. */
export function unexpectedAnswer(error: unknown): unknown {
  if (error instanceof InvalidListError) {
    return new RunFailure(
      'DESTINATION_LIST_GONE',
      'The list was deleted in Iterable while the run was writing to it. The next run makes it anew.',
      { retryable: true, cause: error },
    );
  }
  if (error instanceof IterableError) {
    return new RunFailure(
      'DESTINATION_UNAVAILABLE',
      `Iterable refused a request: ${error.message} ${adviceOn(error)}`,
      { retryable: false, cause: error },
    );
  }
  return error;
}

function adviceOn({ status }: IterableError): string {
  return status === 404
    ? 'Check the data center of the connection (an operator: also ITERABLE_BASE_URL_US and _EU), then use runExport.'
    : "Use runExport to try again; if it is refused again, show this answer to Iterable's support.";
}
