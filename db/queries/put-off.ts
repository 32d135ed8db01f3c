import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { ExportRow } from '../tables.ts';

export type PutOffExport = Pick<ExportRow, 'id' | 'created_at' | 'next_run_at'>;

/** Exports whose next run lies beyond this time, locked for the caller; what another process is dealing with is passed over. */
export async function lockPutOffExports(db: Db, beyond: Date): Promise<PutOffExport[]> {
  return db
    .selectFrom('exports')
    .select(['id', 'created_at', 'next_run_at'])
    .where('next_run_at', '>', beyond)
    .forUpdate()
    .skipLocked()
    .execute();
}

/** Cohort lists that are not to be read before this time are due at once. Gives how many. */
export async function recallPutOffRefreshes(db: Db, beyond: Date, now: Date): Promise<number> {
  const { numUpdatedRows } = await db
    .updateTable('mixpanel_connections')
    .set({ next_refresh_at: now })
    .where('next_refresh_at', '>', beyond)
    .executeTakeFirst();
  return Number(numUpdatedRows);
}

/**
 * Queries to Mixpanel that are yet to come were sent now, and nobody waits for more than an hour, which is how long it
 * counts them. Gives how many were changed.
 */
export async function recallPutOffQueries(
  db: Db,
  beyond: { sent: Date; held: Date },
  now: Date,
): Promise<number> {
  const sent = await db
    .updateTable('mixpanel_queries')
    .set({ at: now })
    .where('at', '>', beyond.sent)
    .executeTakeFirst();
  const held = await db
    .updateTable('mixpanel_budgets')
    .set({
      held_until: sql<Date>`least(held_until, ${beyond.held})`,
      next_scheduled_at: sql<Date>`least(next_scheduled_at, ${beyond.held})`,
    })
    .where((eb) => eb.or([eb('held_until', '>', beyond.held), eb('next_scheduled_at', '>', beyond.held)]))
    .executeTakeFirst();
  return Number(sent.numUpdatedRows + held.numUpdatedRows);
}
