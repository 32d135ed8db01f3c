import { KEY_BYTES, readRecord } from './member-record.ts';

/** Order of two 16-byte keys, byte by byte: the order of PostgreSQL's uuid. */
export function compareKeys(left: Buffer, leftAt: number, right: Buffer, rightAt: number): number {
  for (let index = 0; index < KEY_BYTES; index++) {
    const difference = left[leftAt + index]! - right[rightAt + index]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * The records in ascending order of their keys. Sorted as numbers, made of the key's first bits and the record's place:
 * several times faster than with a comparison of our own. Keys that share those bits are put in order afterwards.
 */
export function sortByKey(buffer: Buffer, offsets: number[]): number[] {
  const placeBits = Math.ceil(Math.log2(offsets.length + 1));
  const places = 2 ** placeBits;
  const unusedKeyBits = Math.max(0, 32 + placeBits - 53);
  const numbers = new Float64Array(offsets.length);
  for (let place = 0; place < offsets.length; place++) {
    const prefix = buffer.readUInt32BE(readRecord.keyAt(offsets[place]!)) >>> unusedKeyBits;
    numbers[place] = prefix * places + place;
  }
  numbers.sort();
  const sorted: number[] = [];
  let lastPrefix = -1;
  for (let index = 0; index < numbers.length; index++) {
    const number = numbers[index]!;
    const prefix = Math.floor(number / places);
    sorted.push(offsets[number - prefix * places]!);
    if (prefix === lastPrefix) sinkLast(buffer, sorted);
    lastPrefix = prefix;
  }
  return sorted;
}

/** Moves the last record before those whose keys are greater. */
function sinkLast(buffer: Buffer, sorted: number[]): void {
  for (let place = sorted.length - 1; place > 0; place--) {
    const [before, after] = [sorted[place - 1]!, sorted[place]!];
    if (compareKeys(buffer, readRecord.keyAt(before), buffer, readRecord.keyAt(after)) <= 0) return;
    sorted[place - 1] = after;
    sorted[place] = before;
  }
}
