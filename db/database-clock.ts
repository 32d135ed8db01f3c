import { sql } from 'kysely';
import type { Db } from './connect.ts';

/** How often the database is asked; meanwhile the machine counts on, and does not drift by much. */
const ASK_INTERVAL_MS = 30_000;

export interface DatabaseClock {
  now(): Date;
  stop(): void;
}

/**
 * What time it is by the database: all processes agree on it, whatever the clocks of their machines say. onError is told
 * of answers that did not come; then the time goes on from the last one.
 */
export async function startDatabaseClock(db: Db, onError: (error: unknown) => void): Promise<DatabaseClock> {
  let { aheadMs } = await readTime(db);
  async function ask() {
    const fresh = await readTime(db);
    // Within what the answer's way may have taken nothing is known better than before.
    if (Math.abs(fresh.aheadMs - aheadMs) > fresh.uncertaintyMs) aheadMs = fresh.aheadMs;
  }
  let isStopped = false;
  const tell = (error: unknown) => {
    if (!isStopped) onError(error);
  };
  const timer = setInterval(() => void ask().catch(tell), ASK_INTERVAL_MS).unref();
  return {
    now: () => new Date(performance.now() + aheadMs),
    stop() {
      isStopped = true;
      clearInterval(timer);
    },
  };
}

/** How far the database is ahead of the counter of this process, which no change of the machine's clock touches. */
async function readTime(db: Db): Promise<{ aheadMs: number; uncertaintyMs: number }> {
  const askedAt = performance.now();
  const { rows } = await sql<{ ms: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`.execute(db);
  const uncertaintyMs = (performance.now() - askedAt) / 2;
  return { aheadMs: rows[0]!.ms - askedAt - uncertaintyMs, uncertaintyMs };
}
