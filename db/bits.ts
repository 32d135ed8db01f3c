/** A set of small numbers, a bit each, as sync_batches keeps them: the lowest bit of the first byte is number 0. */
export function makeBits(size: number, isSet: (index: number) => boolean): Buffer | null {
  const bits = Buffer.alloc((size + 7) >> 3);
  let count = 0;
  for (let index = 0; index < size; index++) {
    if (!isSet(index)) continue;
    bits[index >> 3]! |= 1 << (index & 7);
    count++;
  }
  return count === 0 ? null : bits;
}

export function hasBit(bits: Buffer | null, index: number): boolean {
  return bits !== null && (bits[index >> 3]! & (1 << (index & 7))) !== 0;
}
