import type { IterableClient } from './iterable/client.ts';
import { InvalidListError, IterableError, UnauthorizedError } from './iterable/errors.ts';
import { inTurn, type RequestKind } from './iterable-turns.ts';
import type { Line } from './line.ts';
import { withRetries } from './retry.ts';
import { RunFailure } from './run-outcome.ts';
import type { WaitFor } from './run-reporter.ts';
import type { Seat } from './seats.ts';

/** One Iterable project as a run deals with it: at the agreed pace, patiently, and counted. */
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
  client: IterableClient;
  lineOf: (kind: RequestKind) => Line;
  retryBudgetMs: number;
  /** Ends waits; a request on its way is not touched. */
  halt: AbortSignal;
  /** Given up while a request and its turn are waited for. */
  seat?: Seat;
  onRequest: () => void;
  /** Told what is waited for. */
  waitFor?: WaitFor;
}

export function createDestination(options: DestinationOptions): Destination {
  const { client, lineOf, halt, onRequest, waitFor } = options;
  const taker = { turnsTaken: 0 };

  return {
    async request(kind, send) {
      const attempt = (leave: () => void) => {
        const goOn = waitFor?.('DESTINATION_TURN');
        const sending = inTurn(lineOf(kind), { taker, signal: halt }, (nextTurn) => {
          goOn?.();
          leave();
          onRequest();
          return send(client, async () => {
            await nextTurn();
            onRequest();
          });
        });
        return sending.finally(goOn);
      };
      try {
        const onWait = waitFor && ((delayMs: number) => waitFor('RETRY', delayMs));
        const ask = () => withRetries(attempt, { budgetMs: options.retryBudgetMs, signal: halt, onWait });
        return await (options.seat ? options.seat.aside(ask) : ask());
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
