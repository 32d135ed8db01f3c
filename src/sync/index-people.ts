import type { Db } from '../../db/connect.ts';
import { loadPeople } from '../../db/queries/list-block.ts';
import {
  countSmallSegments,
  insertSegment,
  listSparseSegments,
  listUnindexedBlocks,
  lockIndexing,
  setIndexed,
  takeSegments,
} from '../../db/queries/people-segment.ts';
import { decodePeople } from './people-block.ts';
import { decodeEntries, encodeEntries, hashOf, hashValue, placeOf, toEntry } from './people-segment.ts';

/** What one call does at most: a fifth of a second of work, so that runs hardly notice. */
const BLOCKS_AT_A_TIME = 128;
/** A run that goes as fast as it can is over by then, and is not slowed down by it. */
const FRESH_MS = 15_000;
/** Some 100 kB each. */
const BLOCKS_PER_QUERY = 8;
/** A look-up reads a little of each segment: so many small ones are put up with. */
const MAX_SMALL_SEGMENTS = 16;
const SMALL = { bytes: 800_000, blocks: 20_000 };

/**
 * Makes the people of some further settled blocks quick to find. Runs do not do it themselves, because it would
 * lengthen them; until it is done their blocks are searched whole. Any number of processes may call it at once: one of
 * them works. Gives how many blocks it was. freshMs: what was settled so recently is left for later.
 */
export async function indexPeople(
  db: Db,
  now: Date,
  { blocksAtATime = BLOCKS_AT_A_TIME, freshMs = FRESH_MS } = {},
): Promise<number> {
  // What a clock that was wrong has dated is not taken for fresh.
  const fresh = { since: new Date(now.getTime() - freshMs), until: now };
  // Most of the time there is nothing, and no lock is to be had for that.
  if ((await listUnindexedBlocks(db, fresh, 1)).length === 0) return 0;
  return await db.transaction().execute(async (trx) => {
    if (!(await lockIndexing(trx))) return 0;
    const blocks = await listUnindexedBlocks(trx, fresh, blocksAtATime);
    if (blocks.length === 0) return 0;
    const ids = blocks.map(({ id }) => id);
    const entries = new Float64Array(blocks.reduce((sum, { size }) => sum + 3 * size, 0));
    let count = 0;
    for (let from = 0; from < ids.length; from += BLOCKS_PER_QUERY) {
      const chunk = ids.slice(from, from + BLOCKS_PER_QUERY);
      for (const { id, people } of await loadPeople(trx, chunk)) {
        const place = from + chunk.indexOf(id);
        for (const { distinctId, email, userId } of decodePeople(people)) {
          if (distinctId !== null) entries[count++] = toEntry(hashValue(distinctId), place);
          if (email !== null) entries[count++] = toEntry(hashValue(email), place);
          if (userId !== null) entries[count++] = toEntry(hashValue(userId), place);
        }
      }
    }
    await insertSegment(trx, { blocks: ids, ...encodeEntries(entries.subarray(0, count)) });
    await gatherSegments(trx);
    // Last, because runs may wait for the rows.
    await setIndexed(trx, ids);
    return ids.length;
  });
}

/** Makes one segment of many small ones, and forgets blocks that have been deleted. */
async function gatherSegments(trx: Db): Promise<void> {
  if ((await countSmallSegments(trx, SMALL)) <= MAX_SMALL_SEGMENTS) return;
  const chosen: string[] = [];
  const sum = { bytes: 0, blocks: 0 };
  for (const segment of await listSparseSegments(trx, SMALL)) {
    chosen.push(segment.id);
    sum.bytes += segment.bytes;
    sum.blocks += segment.blocks;
    if (sum.bytes >= SMALL.bytes || sum.blocks >= SMALL.blocks) break;
  }
  const blocks: string[] = [];
  const parts: Float64Array[] = [];
  for (const segment of await takeSegments(trx, chosen)) {
    const places = segment.isLiving.map((isLiving, place) =>
      isLiving ? blocks.push(segment.blocks[place]!) - 1 : undefined,
    );
    parts.push(
      decodeEntries(segment.entries)
        .filter((entry) => places[placeOf(entry)] !== undefined)
        .map((entry) => toEntry(hashOf(entry), places[placeOf(entry)]!)),
    );
  }
  if (blocks.length === 0) return;
  const entries = new Float64Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    entries.set(part, at);
    at += part.length;
  }
  await insertSegment(trx, { blocks, ...encodeEntries(entries) });
}
