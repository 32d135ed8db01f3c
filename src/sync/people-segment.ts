import { fingerprint } from './hash.ts';

const HASHES = 2 ** 32;
/** Into so many parts of equal width the range of the hash is cut, so that a look-up reads one of them. */
const PARTS = 4_096;
const ENTRY_BYTES = 6;
/** Blocks that one segment can tell apart. */
const MAX_BLOCKS = 65_536;

/** 32 bits of a distinct_id, e-mail or userId: finds candidates, which are then looked at. */
export function hashValue(value: string): number {
  return fingerprint(value) % HASHES;
}

export function partOf(hash: number): number {
  return Math.floor(hash / (HASHES / PARTS));
}

/** One number for a hash and the place of its block, in an order by hash; exact, because it has 48 bits. */
export function toEntry(hash: number, place: number): number {
  return hash * MAX_BLOCKS + place;
}

export function placeOf(entry: number): number {
  return entry % MAX_BLOCKS;
}

export function hashOf(entry: number): number {
  return Math.floor(entry / MAX_BLOCKS);
}

/** Entries as people_segments keeps them. Sorts the array. */
export function encodeEntries(entries: Float64Array): { starts: Buffer; entries: Buffer } {
  entries.sort();
  const buffer = Buffer.allocUnsafe(entries.length * ENTRY_BYTES);
  const sizes = new Uint32Array(PARTS);
  let count = 0;
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index]!;
    // Two people of a block may share a value.
    if (index > 0 && entry === entries[index - 1]) continue;
    buffer.writeUIntBE(entry, count++ * ENTRY_BYTES, ENTRY_BYTES);
    sizes[partOf(hashOf(entry))]!++;
  }
  const starts = Buffer.alloc((PARTS + 1) * 4);
  let start = 0;
  for (let part = 0; part < PARTS; part++) {
    start += sizes[part]!;
    starts.writeUInt32BE(start, (part + 1) * 4);
  }
  return { starts, entries: buffer.subarray(0, count * ENTRY_BYTES) };
}

export function decodeEntries(buffer: Buffer): Float64Array {
  const entries = new Float64Array(buffer.length / ENTRY_BYTES);
  for (let index = 0; index < entries.length; index++) {
    entries[index] = buffer.readUIntBE(index * ENTRY_BYTES, ENTRY_BYTES);
  }
  return entries;
}
