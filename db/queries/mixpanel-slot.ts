import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { MixpanelProject } from './mixpanel-line.ts';

/** Mixpanel answers this many queries of a project at a time (rate limits of its Query API). */
export const QUERIES_AT_ONCE = 5;

/** While more processes read than there are slots, they take turns of this length. */
const TURN_MS = 10_000;

/**
 * How many slots a process is to have that stands at this place among all readers: as many as every other, or one in
 * turns, five at a time, when there are more readers than slots. round counts the turns. Pure.
 */
export function shareSlots(place: number, readers: number, round: number): number {
  if (readers > QUERIES_AT_ONCE) return (place + round * QUERIES_AT_ONCE) % readers < QUERIES_AT_ONCE ? 1 : 0;
  return Math.floor(QUERIES_AT_ONCE / readers) + (place < QUERIES_AT_ONCE % readers ? 1 : 0);
}

export interface SlotClaim {
  readerId: string;
  /** Queries under way: so many slots it does not give back. */
  busy: number;
  /** Without another claim its slots are free after this time. */
  lifeMs: number;
}

export interface SlotGrant {
  /** What is counted as the reader's. */
  slots: number;
  /** What it is to come down to, or up to once others have come down. */
  share: number;
  /** Mixpanel says that too many queries run: no new one before this is over. */
  heldMs: number;
}

/** Takes, keeps or gives back slots of a Mixpanel project. No more are given over all processes than there are. */
export async function claimSlots(db: Db, project: MixpanelProject, claim: SlotClaim): Promise<SlotGrant> {
  const { region, mixpanel_project_id } = project;
  const { readerId, busy, lifeMs } = claim;
  return await db.transaction().execute(async (trx) => {
    const name = `mixpanel-slots:${region}:${mixpanel_project_id}`;
    await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(trx);
    await trx
      .deleteFrom('mixpanel_readers')
      .where('region', '=', region)
      .where('mixpanel_project_id', '=', mixpanel_project_id)
      .where('expires_at', '<=', sql<Date>`clock_timestamp()`)
      .execute();
    const readers = await trx
      .selectFrom('mixpanel_readers')
      .select(['reader_id', 'slots'])
      .where('region', '=', region)
      .where('mixpanel_project_id', '=', mixpanel_project_id)
      .execute();
    const { heldMs, nowMs } = await readHold(trx, project);
    const ids = new Set([...readers.map((reader) => reader.reader_id), readerId]);
    const place = [...ids].sort().indexOf(readerId);
    const share = shareSlots(place, ids.size, Math.floor(nowMs / TURN_MS));
    const mine = readers.find((reader) => reader.reader_id === readerId)?.slots ?? 0;
    const free = QUERIES_AT_ONCE + mine - readers.reduce((sum, reader) => sum + reader.slots, 0);
    const slots = Math.max(Math.min(share, free), Math.min(busy, mine));
    const values = { slots, expires_at: fromNow(lifeMs) };
    await trx
      .insertInto('mixpanel_readers')
      .values({ region, mixpanel_project_id, reader_id: readerId, ...values })
      .onConflict((conflict) =>
        conflict.columns(['region', 'mixpanel_project_id', 'reader_id']).doUpdateSet(values),
      )
      .execute();
    return { slots, share, heldMs };
  });
}

/** Everything that the reader had is free. */
export async function releaseSlots(db: Db, project: MixpanelProject, readerId: string): Promise<void> {
  await db
    .deleteFrom('mixpanel_readers')
    .where('region', '=', project.region)
    .where('mixpanel_project_id', '=', project.mixpanel_project_id)
    .where('reader_id', '=', readerId)
    .execute();
}

/** Mixpanel says that too many queries run at a time, others' too: nobody sends a new one before this time is over. */
export async function holdSlots(db: Db, project: MixpanelProject, holdMs: number): Promise<void> {
  const { region, mixpanel_project_id } = project;
  await db
    .insertInto('mixpanel_budgets')
    .values({ region, mixpanel_project_id, slots_held_until: fromNow(holdMs) })
    .onConflict((conflict) =>
      conflict.columns(['region', 'mixpanel_project_id']).doUpdateSet({
        slots_held_until: sql<Date>`greatest(mixpanel_budgets.slots_held_until, excluded.slots_held_until)`,
      }),
    )
    .execute();
}

async function readHold(
  db: Db,
  { region, mixpanel_project_id }: MixpanelProject,
): Promise<{ heldMs: number; nowMs: number }> {
  const { rows } = await sql<{ heldMs: number; nowMs: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs",
      coalesce(greatest(0, extract(epoch from (
        select slots_held_until from mixpanel_budgets
          where region = ${region} and mixpanel_project_id = ${mixpanel_project_id}
      ) - clock_timestamp()) * 1000), 0)::float8 as "heldMs"
  `.execute(db);
  return rows[0]!;
}

function fromNow(ms: number) {
  return sql<Date>`clock_timestamp() + ${ms} * interval '1 millisecond'`;
}
