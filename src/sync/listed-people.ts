import { hasBit } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import { countListed, type ListBlock, loadListBlocks } from '../../db/queries/list-block.ts';
import { partitionOf } from './key-range.ts';
import { KEY_BYTES } from './member-record.ts';
import { readAhead } from './read-ahead.ts';

const MAX_PARTS = 256;
/** By so much the largest part may exceed the average without its table having to grow, which doubles it. */
const UNEVENNESS = 1.05;
const BLOCKS_PER_QUERY = 20;
const SEEN = 256;
const NOBODY = -1;
/** Of one person, four bytes each: the key, the fingerprint, their ordinal, flags. All in one line of the processor's cache. */
const WORDS = 8;
const KEY_WORDS = 4;
const ORDINAL_AT = 6;
const FLAGS_AT = 7;

/** Where somebody stands: the row of sync_batches, and the place in it. */
export interface Place {
  blockId: string;
  index: number;
}

interface TableMemory {
  words: Int32Array<ArrayBuffer>;
  slots: Int32Array;
}

/**
 * Who is on the list by all that we know, of one part of the keys: a hash table in typed arrays, because a million
 * objects would cost more than the whole comparison. People are numbered from 0 in the order of their blocks.
 */
export interface ListedPeople {
  readonly memory: TableMemory;
  /** Which of how many parts of the keys this is. */
  readonly part: { index: number; parts: number };
  readonly count: number;
  /** The number of the person with this key (16 bytes of the buffer), or -1. */
  find(buffer: Buffer, at: number): number;
  /** The same for a key of 16 characters. */
  findKey(key: string): number;
  /** The same for so many keys, one after the other in the buffer: the processor then looks several up at once. */
  findKeys(buffer: Buffer, size: number): Int32Array;
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

/**
 * Loads those of the export's list whose keys are in the part. before: of another part, no longer used; its memory is
 * taken over, because that of a large table is not given back soon.
 */
export async function loadListedPeople(
  db: Db,
  exportId: number,
  part: ListedPeople['part'] = WHOLE,
  before?: ListedPeople,
): Promise<ListedPeople> {
  const people = await countListed(db, exportId);
  const expected = part.parts === 1 ? people : Math.ceil((people / part.parts) * UNEVENNESS);
  const table = createTable(part, expected, before?.memory);
  let after: string | undefined = '0';
  const loadNext = async () => {
    if (after === undefined) return undefined;
    const blocks = await loadListBlocks(db, exportId, { after, limit: BLOCKS_PER_QUERY });
    after = blocks.length < BLOCKS_PER_QUERY ? undefined : blocks.at(-1)!.id;
    return blocks;
  };
  for await (const blocks of readAhead(loadNext)) for (const block of blocks) table.addBlock(block);
  return table.build();
}

function createTable(part: ListedPeople['part'], expected: number, memory?: TableMemory) {
  const blocks: { id: string; start: number }[] = [];
  const size = Math.max(16, expected) * WORDS;
  let words = memory && memory.words.length >= size ? memory.words : new Int32Array(size);
  let count = 0;
  /** The ordinal of somebody is their place among all people of all blocks, those who are not on the list counted too. */
  let rows = 0;

  function grow() {
    const grown = new Int32Array(words.length * 2);
    grown.set(words);
    words = grown;
  }

  return {
    addBlock(block: ListBlock) {
      blocks.push({ id: block.id, start: rows });
      const keys = wordsOf(block.keys);
      const fingerprints = wordsOf(block.fingerprints);
      for (let index = 0; index < block.size; index++) {
        if (!hasBit(block.live, index)) continue;
        if (part.parts > 1 && partitionOf(block.keys[index * KEY_BYTES]!, part.parts) !== part.index)
          continue;
        let at = count++ * WORDS;
        if (at === words.length) grow();
        for (let word = 0; word < KEY_WORDS; word++) words[at++] = keys[index * KEY_WORDS + word]!;
        words[at++] = fingerprints[index * 2]!;
        words[at++] = fingerprints[index * 2 + 1]!;
        words[at++] = rows + index;
        words[at] = block.marks?.[index] ?? 0;
      }
      rows += block.size;
    },
    build(): ListedPeople {
      const bytes = Buffer.from(words.buffer);
      const fingerprints = new Float64Array(words.buffer);
      let slotCount = 16;
      while (slotCount < count * 1.5) slotCount *= 2;
      const mask = slotCount - 1;
      const slots = memory?.slots.length === slotCount ? memory.slots : new Int32Array(slotCount);
      slots.fill(NOBODY);
      for (let number = 0; number < count; number++) {
        let slot = words[number * WORDS]! & mask;
        while (slots[slot] !== NOBODY) slot = (slot + 1) & mask;
        slots[slot] = number;
      }

      function findWords(first: number, second: number, third: number, fourth: number): number {
        for (let slot = first & mask; ; slot = (slot + 1) & mask) {
          const number = slots[slot]!;
          if (number === NOBODY) return NOBODY;
          const at = number * WORDS;
          if (
            words[at] === first &&
            words[at + 1] === second &&
            words[at + 2] === third &&
            words[at + 3] === fourth
          )
            return number;
        }
      }

      function find(buffer: Buffer, at: number): number {
        return findWords(
          buffer.readInt32LE(at),
          buffer.readInt32LE(at + 4),
          buffer.readInt32LE(at + 8),
          buffer.readInt32LE(at + 12),
        );
      }

      return {
        memory: { words, slots },
        part,
        count,
        find,
        findKey: (key) => findWords(wordOf(key, 0), wordOf(key, 4), wordOf(key, 8), wordOf(key, 12)),
        findKeys(wanted, size) {
          const found = new Int32Array(size);
          if (count === 0) return found.fill(NOBODY);
          // Once more than needed, so that the second round finds the slots in the processor's cache.
          for (let index = 0; index < size; index++) {
            found[index] = slots[wanted.readInt32LE(index * KEY_BYTES) & mask]!;
          }
          for (let index = 0; index < size; index++) found[index] = find(wanted, index * KEY_BYTES);
          return found;
        },
        keyOf: (number) => bytes.toString('latin1', 4 * number * WORDS, 4 * number * WORDS + KEY_BYTES),
        fingerprintOf: (number) => fingerprints[(number * WORDS + KEY_WORDS) / 2]!,
        marksOf: (number) => words[number * WORDS + FLAGS_AT]! & ~SEEN,
        placeOf(number) {
          const ordinal = words[number * WORDS + ORDINAL_AT]!;
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
          words[number * WORDS + FLAGS_AT]! |= SEEN;
        },
        unsee(number) {
          words[number * WORDS + FLAGS_AT]! &= ~SEEN;
        },
        isSeen: (number) => (words[number * WORDS + FLAGS_AT]! & SEEN) !== 0,
      };
    },
  };
}

/** A copy, because a buffer may begin anywhere. */
function wordsOf(buffer: Buffer): Int32Array {
  return new Int32Array(new Uint8Array(buffer).buffer);
}

/** Four characters, a byte each, as the number that they are in memory. */
function wordOf(key: string, at: number): number {
  return (
    key.charCodeAt(at) |
    (key.charCodeAt(at + 1) << 8) |
    (key.charCodeAt(at + 2) << 16) |
    (key.charCodeAt(at + 3) << 24)
  );
}
