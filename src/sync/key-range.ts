import type { KeyRange } from '../../db/queries/rejection.ts';

/** The keys of one of several equal parts, by their first byte. */
export function rangeOf(partition: number, partitions: number): KeyRange {
  const edge = (index: number) => ((index * 256) / partitions).toString(16).padStart(2, '0').padEnd(32, '0');
  return { from: edge(partition), to: partition + 1 === partitions ? null : edge(partition + 1) };
}

/** The part that a key with this first byte is in. partitions is a power of two, at most 256. */
export function partitionOf(firstByte: number, partitions: number): number {
  return Math.floor((firstByte * partitions) / 256);
}
