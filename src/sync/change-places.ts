import { hasBit, makeBits } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import { type BlockState, lockBlockStates, updateBlockStates } from '../../db/queries/list-block.ts';
import type { Place } from './listed-people.ts';

/** What becomes of somebody's place: they leave the list, or a mark of MARKS is set or taken away. */
export type PlaceChange = 'leave' | { set: number } | { clear: number };

/**
 * Changes what is known of people's places. Within a transaction; the rows are locked in one order, so that any number of
 * callers may do it at once. A place that somebody has left already stays as it is.
 */
export async function changePlaces(
  db: Db,
  changes: Iterable<{ place: Place; change: PlaceChange }>,
): Promise<void> {
  const byBlock = new Map<string, { index: number; change: PlaceChange }[]>();
  for (const { place, change } of changes) {
    const list = byBlock.get(place.blockId);
    if (list) list.push({ index: place.index, change });
    else byBlock.set(place.blockId, [{ index: place.index, change }]);
  }
  if (byBlock.size === 0) return;
  const states = await lockBlockStates(db, [...byBlock.keys()]);
  await updateBlockStates(
    db,
    states.map((state) => changeState(state, byBlock.get(state.id)!)),
  );
}

function changeState(state: BlockState, changes: { index: number; change: PlaceChange }[]): BlockState {
  const live = state.live && Buffer.from(state.live);
  const marks = Buffer.from(state.marks ?? Buffer.alloc(state.size));
  for (const { index, change } of changes) {
    if (!live || !hasBit(live, index)) continue;
    if (change === 'leave') {
      live[index >> 3]! &= ~(1 << (index & 7));
      marks[index] = 0;
    } else if ('set' in change) marks[index]! |= change.set;
    else marks[index]! &= ~change.clear;
  }
  let count = 0;
  for (let index = 0; index < state.size; index++) if (hasBit(live, index)) count++;
  return {
    ...state,
    live: count === 0 ? null : live,
    live_count: count,
    marks: marks.some((mark) => mark !== 0) ? marks : null,
  };
}

/** Everybody of a block is on the list, but for those whom the function names. */
export function liveBits(
  size: number,
  isAbsent: (index: number) => boolean,
): { live: Buffer | null; liveCount: number } {
  let liveCount = 0;
  for (let index = 0; index < size; index++) if (!isAbsent(index)) liveCount++;
  return { live: makeBits(size, (index) => !isAbsent(index)), liveCount };
}
