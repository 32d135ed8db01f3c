import { sql } from 'kysely';
import type { Db } from '../connect.ts';

export interface PushedMember {
  distinct_id: string;
  email: string | null;
  user_id: string | null;
}

/** After sessions have been applied; note is what of them could not be used. */
export async function setPushed(
  db: Db,
  cohortId: string,
  { now, note }: { now: Date; note: string | null },
): Promise<void> {
  const members = await countPushedMembers(db, cohortId);
  await db
    .updateTable('cohorts')
    .set({ refreshed_at: now, member_count: members, source_note: note })
    .where('id', '=', cohortId)
    .execute();
}

/** Nobody else writes it until the transaction ends. */
export async function lockSourceNote(db: Db, cohortId: string): Promise<string | null> {
  const row = await db
    .selectFrom('cohorts')
    .select('source_note')
    .where('id', '=', cohortId)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow();
  return row.source_note;
}

export async function setSourceNote(db: Db, cohortId: string, note: string | null): Promise<void> {
  await db.updateTable('cohorts').set({ source_note: note }).where('id', '=', cohortId).execute();
}

/** How many people all members were when they were told last, changed by what came since; null before they were told. */
export async function findPushedSize(db: Db, cohortId: string): Promise<number | null> {
  const row = await db
    .selectFrom('cohorts')
    .select('member_count')
    .where('id', '=', cohortId)
    .executeTakeFirstOrThrow();
  return row.member_count;
}

export async function countPushedMembers(db: Db, cohortId: string): Promise<number> {
  const row = await db
    .selectFrom('pushed_members')
    .select(sql<number>`count(*)::int`.as('count'))
    .where('cohort_id', '=', cohortId)
    .where('is_member', '=', true)
    .executeTakeFirstOrThrow();
  return row.count;
}

/** In the order of their distinct_ids. */
export function readPushedMembers(
  db: Db,
  cohortId: string,
  after: string,
  limit: number,
): Promise<PushedMember[]> {
  return db
    .selectFrom('pushed_members')
    .select(['distinct_id', 'email', 'user_id'])
    .where('cohort_id', '=', cohortId)
    .where('is_member', '=', true)
    .where('distinct_id', '>', after)
    .orderBy('distinct_id')
    .limit(limit)
    .execute();
}
