import { CompiledQuery } from 'kysely';
import type { Db } from '../connect.ts';

/** What rate-limiter-flexible takes for a client of PostgreSQL; its table is rate_limits. */
export function rateLimitClient(db: Db) {
  return {
    query: ({ text, values }: { text: string; values: unknown[] }) =>
      db.executeQuery(CompiledQuery.raw(text, values)),
  };
}
