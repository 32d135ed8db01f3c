import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import { readPlaces } from './ledger-block.ts';

/** Somebody whose removal waits for a decision. position grows, and is unique within the run. */
export interface PendingRemovalRow {
  run_id: string;
  position: number;
  distinct_id: string | null;
  email: string | null;
  user_id: string | null;
}

const isHeld = sql<boolean>`kind = 'REMOVE' and state = 'HELD'`;

/** The same page of each of these runs, after a position. They were looked up within the caller's project. */
export async function listPendingRemovals(
  db: Db,
  runIds: readonly string[],
  page: { limit: number; after: number | undefined },
): Promise<Map<string, PendingRemovalRow[]>> {
  const wishes = runIds.map((runId) => ({ runId, after: page.after ?? 0, limit: page.limit }));
  return await readPlaces<PendingRemovalRow>(db, wishes, isHeld, (_block, { person, position }, run_id) => {
    const [distinct_id, email, user_id] = person;
    return { run_id, position, distinct_id, email, user_id };
  });
}

/** How many people of each of these runs wait; those of whom nobody does are left out. */
export async function countPendingRemovals(db: Db, runIds: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await sql<{ runId: string; people: number }>`
    select run_id as "runId", sum(size)::int as people from sync_batches
    where run_id = any(${[...runIds]}::bigint[]) and ${isHeld} group by run_id`.execute(db);
  return new Map(rows.map(({ runId, people }) => [runId, people]));
}
