import { sql } from 'kysely';
import type { Db } from '../connect.ts';

/** A limit that all processes keep together, by the database's clock. */
export interface Pace {
  key: string;
  /** At most this many turns begin in any window. */
  turnsPerWindow: number;
  windowMs: number;
  /** At least so far apart. */
  gapMs: number;
  /** Turns under way at a time; null: any number. */
  concurrency: number | null;
}

/** However long a partner says to wait, it is asked again after this: the number may be nonsense. */
export const MAX_HOLD_MS = 120_000;

export interface TurnAnswer {
  /** True: the turn begins when waitMs is over. False: ask again then. */
  isGranted: boolean;
  waitMs: number;
}

/** One process, as others see it that wait for turns of the same pace. */
export interface PacerLine {
  id: string;
  /** Turns under way. */
  underWay: number;
  /** How much later than granted its latest turn began. */
  lateMs: number;
}

/**
 * Asks for the next turn. Processes that wait for one get it in the round; what one has under way that has been silent for
 * ten seconds is taken for over.
 */
export async function takeTurn(db: Db, pace: Pace, line: PacerLine): Promise<TurnAnswer> {
  const { rows } = await sql<TurnAnswer>`
    select is_granted as "isGranted", wait_ms as "waitMs" from take_turn(
      ${pace.key}, ${line.id}, ${line.underWay}, ${toInterval(line.lateMs)},
      ${pace.turnsPerWindow}, ${toInterval(pace.windowMs)}, ${toInterval(pace.gapMs)}, ${pace.concurrency})
  `.execute(db);
  return rows[0]!;
}

const toInterval = (ms: number) => sql`${ms}::float8 * interval '1 millisecond'`;

/** How many turns a process has under way while it waits for none; to be told again every few seconds. */
export async function tellTurns(db: Db, lineId: string, underWay: number): Promise<void> {
  await db
    .updateTable('pacer_lines')
    .set({ under_way: underWay, asks_again_at: null, seen_at: sql`clock_timestamp()` })
    .where('id', '=', lineId)
    .execute();
}

/** After each refusal a pace goes slower by this share, until that has worn off over some hundred turns. */
const CAUTION = 0.03;
const MAX_CAUTION = 0.2;

/** The partner has refused one turn too many: none begins before this time is over, but for those that have been granted. */
export async function holdPace(db: Db, key: string, holdMs: number): Promise<void> {
  const until = sql<Date>`clock_timestamp() + ${toInterval(Math.min(holdMs, MAX_HOLD_MS))}`;
  await db
    .updateTable('pacers')
    .set({
      held_until: sql`greatest(${until}, case when held_until <= clock_timestamp() + interval '2 minutes' then held_until end)`,
      caution: sql`least(caution + ${CAUTION}, ${MAX_CAUTION})`,
    })
    .where('key', '=', key)
    .execute();
}
