import { setTimeout as wait } from 'node:timers/promises';

/** What an error must say to be tried again. */
interface RetryableError {
  retryable: boolean;
  retryAfterMs?: number | undefined;
}

const BASE_DELAY_MS = 1_000;
const MAX_DELAY_MS = 120_000;

/** How long to wait before the next try: what the partner asks for, else full jitter over a doubling span. Pure. */
export function retryDelayMs(error: RetryableError, attempt: number, random: number): number {
  const jitter = random * Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** attempt);
  return Math.max(error.retryAfterMs ?? 0, jitter);
}

/**
 * Tries again as long as the error is retryable and the next try would begin within the budget; then throws the last
 * error. An attempt that waits for its turn says when the request leaves: the budget does not begin before. Waits end with
 * the signal, whose reason is thrown.
 */
export async function withRetries<T>(
  attempt: (leave: () => void) => Promise<T>,
  options: {
    budgetMs: number;
    signal?: AbortSignal | undefined;
    random?: () => number;
    /** Told of each wait; what it gives is called when that is over. */
    onWait?: ((delayMs: number) => () => void) | undefined;
  },
): Promise<T> {
  const { budgetMs, signal, random = Math.random } = options;
  const startedAt = performance.now();
  let leftAt: number | undefined;
  for (let tried = 0; ; tried++) {
    try {
      return await attempt(() => {
        leftAt ??= performance.now();
      });
    } catch (error) {
      if (!isRetryable(error)) throw error;
      const delayMs = retryDelayMs(error, tried, random());
      if (performance.now() - (leftAt ?? startedAt) + delayMs > budgetMs) throw error;
      const goOn = options.onWait?.(delayMs);
      await wait(delayMs, undefined, { signal })
        .catch((abort) => {
          signal?.throwIfAborted();
          throw abort;
        })
        .finally(goOn);
    }
  }
}

function isRetryable(error: unknown): error is RetryableError {
  return typeof error === 'object' && error !== null && 'retryable' in error && error.retryable === true;
}
