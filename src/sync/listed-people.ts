import { hasBit } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import { countListed, type ListBlock, loadListBlocks } from '../../db/queries/list-block.ts';
import { partitionOf } from './key-range.ts';
import { KEY_BYTES } from './member-record.ts';

const MAX_PARTS = 256;
const BLOCKS_PER_QUERY = 50;
const SEEN = 128;
const NOBODY = -1;

/** Where somebody stands: the row of sync_batches, and the place in it. */
export interface Place {
  blockId: string;
  index: number;
}

/**
 * Who is on the list by all that we know, of one part of the keys: a hash table in typed arrays, because a million
 * objects would cost more than the whole comparison. People are numbered from 0 in the order of their blocks.
 */
export interface ListedPeople {
  /** Which of how many parts of the keys this is. */
  readonly part: { index: number; parts: number };
  readonly count: number;
  /** The number of the person with this key (16 bytes of the buffer), or -1. */
  find(buffer: Buffer, at: number): number;
  /** The same for a key of 16 characters. */
  findKey(key: string): number;
  /** 16 characters, a byte each. */
  keyOf(number: number): string;
  fingerprintOf(number: number): number;
  /** Bits of MARKS; 0 for most people. */
  marksOf(number: number): number;
  placeOf(number: number): Place;
  /** Notes that the person qualifies. */
  see(number: number): void;
  unsee(number: number): void;
  isSeen(number: number): boolean;
}

/** In how many parts a list of this many people is to be compared, with so many in memory at once. A power of two. */
export function partsFor(people: number, maxInMemory: number): number {
  let parts = 1;
  while (parts < MAX_PARTS && parts * maxInMemory < people) parts *= 2;
  return parts;
}

const WHOLE = { index: 0, parts: 1 };

export const NOBODY_LISTED: ListedPeople = createTable(WHOLE, 0).build();

/** Loads those of the export's list whose keys are in the part. */
export async function loadListedPeople(
  db: Db,
  exportId: number,
  part: ListedPeople['part'] = WHOLE,
): Promise<ListedPeople> {
  const people = await countListed(db, exportId);
  const table = createTable(part, Math.ceil(people / part.parts));
  for (let after = '0'; ; ) {
    const blocks = await loadListBlocks(db, exportId, { after, limit: BLOCKS_PER_QUERY });
    for (const block of blocks) table.addBlock(block);
    if (blocks.length < BLOCKS_PER_QUERY) return table.build();
    after = blocks.at(-1)!.id;
  }
}

function createTable(part: ListedPeople['part'], expected: number) {
  const blocks: { id: string; start: number }[] = [];
  let capacity = Math.max(16, expected);
  let keys = Buffer.from(new ArrayBuffer(capacity * KEY_BYTES));
  let fingerprints = new Float64Array(capacity);
  /** The person's place among all people of all blocks, those who are not on the list counted too. */
  let ordinals = new Uint32Array(capacity);
  let flags = new Uint8Array(capacity);
  let count = 0;
  let rows = 0;

  function grow() {
    capacity *= 2;
    const grown = Buffer.from(new ArrayBuffer(capacity * KEY_BYTES));
    keys.copy(grown);
    keys = grown;
    const copy = <T extends Float64Array | Uint32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    fingerprints = copy(fingerprints, new Float64Array(capacity));
    ordinals = copy(ordinals, new Uint32Array(capacity));
    flags = copy(flags, new Uint8Array(capacity));
  }

  return {
    addBlock(block: ListBlock) {
      blocks.push({ id: block.id, start: rows });
      for (let index = 0; index < block.size; index++) {
        if (!hasBit(block.live, index)) continue;
        const keyAt = index * KEY_BYTES;
        if (part.parts > 1 && partitionOf(block.keys[keyAt]!, part.parts) !== part.index) continue;
        if (count === capacity) grow();
        block.keys.copy(keys, count * KEY_BYTES, keyAt, keyAt + KEY_BYTES);
        fingerprints[count] = block.fingerprints.readDoubleLE(index * 8);
        ordinals[count] = rows + index;
        flags[count] = block.marks?.[index] ?? 0;
        count++;
      }
      rows += block.size;
    },
    build(): ListedPeople {
      const words = new Int32Array(keys.buffer, keys.byteOffset, capacity * 4);
      let size = 16;
      while (size < count * 1.5) size *= 2;
      const mask = size - 1;
      const slots = new Int32Array(size).fill(NOBODY);
      for (let number = 0; number < count; number++) {
        let slot = words[number * 4]! & mask;
        while (slots[slot] !== NOBODY) slot = (slot + 1) & mask;
        slots[slot] = number;
      }
      const scratch = Buffer.from(new ArrayBuffer(KEY_BYTES));
      const wanted = new Int32Array(scratch.buffer, scratch.byteOffset, 4);

      function findScratch(): number {
        const [first, second, third, fourth] = wanted as unknown as [number, number, number, number];
        for (let slot = first & mask; ; slot = (slot + 1) & mask) {
          const number = slots[slot]!;
          if (number === NOBODY) return NOBODY;
          const at = number * 4;
          if (
            words[at] === first &&
            words[at + 1] === second &&
            words[at + 2] === third &&
            words[at + 3] === fourth
          )
            return number;
        }
      }

      return {
        part,
        count,
        find(buffer, at) {
          if (count === 0) return NOBODY;
          buffer.copy(scratch, 0, at, at + KEY_BYTES);
          return findScratch();
        },
        findKey(key) {
          if (count === 0) return NOBODY;
          scratch.write(key, 0, KEY_BYTES, 'latin1');
          return findScratch();
        },
        keyOf: (number) => keys.toString('latin1', number * KEY_BYTES, (number + 1) * KEY_BYTES),
        fingerprintOf: (number) => fingerprints[number]!,
        marksOf: (number) => flags[number]! & ~SEEN,
        placeOf(number) {
          const ordinal = ordinals[number]!;
          let low = 0;
          let high = blocks.length - 1;
          while (low < high) {
            const middle = (low + high + 1) >> 1;
            if (blocks[middle]!.start <= ordinal) low = middle;
            else high = middle - 1;
          }
          return { blockId: blocks[low]!.id, index: ordinal - blocks[low]!.start };
        },
        see(number) {
          flags[number]! |= SEEN;
        },
        unsee(number) {
          flags[number]! &= ~SEEN;
        },
        isSeen: (number) => (flags[number]! & SEEN) !== 0,
      };
    },
  };
}
