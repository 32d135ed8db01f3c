import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/**
 * Reserves the next free moment of a pace shared by all processes, by the database's clock.
 * Gives how long from now that moment is, in milliseconds.
 */
export async function reserveSlot(db: Db, key: string, intervalMs: number): Promise<number> {
  const { rows } = await sql<{ wait_ms: number }>`
    insert into pacers as pacer (key, next_at)
    values (${key}, clock_timestamp() + ${intervalMs} * interval '1 millisecond')
    on conflict (key) do update set
      next_at = greatest(pacer.next_at, clock_timestamp()) + ${intervalMs} * interval '1 millisecond'
    returning (extract(epoch from next_at - clock_timestamp()) * 1000 - ${intervalMs})::float8 as wait_ms
  `.execute(db);
  return Math.max(0, rows[0]!.wait_ms);
}

/** Nobody's next moment is earlier than this many milliseconds from now. */
export async function postponeSlots(db: Db, key: string, delayMs: number): Promise<void> {
  await sql`
    insert into pacers as pacer (key, next_at)
    values (${key}, clock_timestamp() + ${delayMs} * interval '1 millisecond')
    on conflict (key) do update set
      next_at = greatest(pacer.next_at, clock_timestamp() + ${delayMs} * interval '1 millisecond')
  `.execute(db);
}
