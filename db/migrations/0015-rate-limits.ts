import { type Kysely, sql } from 'kysely';

/** In the form of rate-limiter-flexible. What is lost in a crash is a count of the last minute: not worth its log. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create unlogged table rate_limits (
    key text primary key,
    points integer not null default 0,
    expire bigint
  )`.execute(db);
}
