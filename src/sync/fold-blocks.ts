import { hasBit } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import {
  deleteSpentBlocks,
  insertListBlock,
  lockSparseBlocks,
  type SparseBlock,
  updateBlockStates,
} from '../../db/queries/list-block.ts';
import { KEY_BYTES } from './member-record.ts';
import { type BlockPerson, decodePeople, encodePeople } from './people-block.ts';

const PEOPLE_PER_BLOCK = 1_000;
/** Each run that changes a few people leaves a block of a few people; so many are worth being written anew. */
const MIN_SPARSE_BLOCKS = 64;
/** Bounds the memory: at most half a block's people each. */
const MAX_SPARSE_BLOCKS = 128;

/**
 * Gathers the people of sparse blocks into full ones, so that a list that changes a little every quarter of an hour
 * stays as quick to compare as a new one. Changes nothing of who is on the list, and no ledger. Within a transaction;
 * not while a plan that names places waits to be sent.
 */
export async function foldBlocks(db: Db, exportId: number): Promise<void> {
  const sparse = await lockSparseBlocks(db, exportId, {
    maxPeople: PEOPLE_PER_BLOCK / 2,
    limit: MAX_SPARSE_BLOCKS,
  });
  if (sparse.length < MIN_SPARSE_BLOCKS) return;
  const people = sparse.flatMap(listPeople).sort((left, right) => (left.key < right.key ? -1 : 1));
  const settledAt = new Date(Math.max(...sparse.map(({ settled_at }) => settled_at!.getTime())));
  await updateBlockStates(
    db,
    sparse.map(({ id, size }) => ({ id, size, live: null, live_count: 0, marks: null })),
  );
  for (let from = 0; from < people.length; from += PEOPLE_PER_BLOCK) {
    const block = encodePeople(people.slice(from, from + PEOPLE_PER_BLOCK));
    await insertListBlock(db, exportId, block, settledAt);
  }
  await deleteSpentBlocks(db, exportId);
}

function listPeople(block: SparseBlock): BlockPerson[] {
  return decodePeople(block.people).flatMap((person, index) => {
    if (!hasBit(block.live, index)) return [];
    const key = block.keys.toString('latin1', index * KEY_BYTES, (index + 1) * KEY_BYTES);
    const fingerprint = block.fingerprints.readDoubleLE(index * 8);
    return [{ ...person, key, fingerprint, note: 0, place: undefined }];
  });
}
