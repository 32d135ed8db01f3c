import { overloaded, rateLimited } from './refusal.ts';

interface Waiter {
  cost: number;
  start: () => void;
  refuse: (error: Error) => void;
}

export interface ExecutionSlots {
  /**
   * Waits until the costs of what runs leave room, and gives the function that frees it again. Throws RefusalError when too many
   * wait, and the reason of the signal when that aborts first.
   */
  acquire(request: { key: string; cost: number; signal: AbortSignal }): Promise<() => void>;
}

/**
 * Bounds what runs at once by its cost, and the share of one key. Keys take turns, so that one with a thousand operations in
 * the queue delays another by one of them.
 */
export function createExecutionSlots(limits: {
  maxCost: number;
  maxCostPerKey: number;
  maxWaitingPerKey: number;
  maxWaiting: number;
}): ExecutionSlots {
  const runningByKey = new Map<string, number>();
  /** In the order of their turns. */
  const queues = new Map<string, Waiter[]>();
  let running = 0;
  let waiting = 0;

  function fits(key: string, cost: number): boolean {
    const own = runningByKey.get(key) ?? 0;
    // What is larger than a share runs alone.
    return (
      (running === 0 || running + cost <= limits.maxCost) && (own === 0 || own + cost <= limits.maxCostPerKey)
    );
  }

  function occupy(key: string, cost: number): () => void {
    running += cost;
    runningByKey.set(key, (runningByKey.get(key) ?? 0) + cost);
    let isFree = false;
    return () => {
      if (isFree) return;
      isFree = true;
      running -= cost;
      const rest = runningByKey.get(key)! - cost;
      if (rest === 0) runningByKey.delete(key);
      else runningByKey.set(key, rest);
      startWaiting();
    };
  }

  function startWaiting(): void {
    for (const [key, queue] of [...queues]) {
      const first = queue[0]!;
      if (!fits(key, first.cost)) {
        // Room is kept for it: else small ones would pass it for ever.
        if (running + first.cost > limits.maxCost) return;
        continue;
      }
      queue.shift();
      waiting--;
      queues.delete(key);
      if (queue.length > 0) queues.set(key, queue);
      first.start();
    }
  }

  return {
    acquire({ key, cost, signal }) {
      if (waiting === 0 && fits(key, cost)) return Promise.resolve(occupy(key, cost));
      const queue = queues.get(key) ?? [];
      if (queue.length >= limits.maxWaitingPerKey)
        return Promise.reject(rateLimited('Too many operations of this token wait for their turn.', 1));
      if (waiting >= limits.maxWaiting)
        return Promise.reject(overloaded('Too many operations wait for their turn.'));
      return new Promise((resolve, reject) => {
        const waiter: Waiter = {
          cost,
          start() {
            signal.removeEventListener('abort', leave);
            resolve(occupy(key, cost));
          },
          refuse: reject,
        };
        function leave() {
          const own = queues.get(key);
          const index = own?.indexOf(waiter) ?? -1;
          if (!own || index < 0) return;
          own.splice(index, 1);
          waiting--;
          if (own.length === 0) queues.delete(key);
          reject(signal.reason);
          startWaiting();
        }
        signal.addEventListener('abort', leave, { once: true });
        queues.set(key, queue);
        queue.push(waiter);
        waiting++;
        startWaiting();
      });
    },
  };
}
