import { offsetsOf, readRecord } from './member-record.ts';
import type { Spill } from './spill.ts';

/** The distinct_ids of people by their numbers in the list. */
export type ReadDistinctIds = (numbers: number[]) => Promise<Map<number, string | null>>;

/** Rows of people who had come before: only the first row of a distinct_id counts. */
export interface Repeats {
  count: number;
  /** How many of them have an identity: somebody who comes twice may have one only the second time. */
  withIdentity: number;
  /** Places in the source of records that do not count. */
  orders: Set<number>;
  /** Numbers of people on the list whose row, though it matched, does not count. */
  listed: Set<number>;
}

interface Row {
  order: number;
  /** Number in the list, -1 for somebody who has a record. */
  number: number;
  hasIdentity: boolean;
}

/**
 * marks holds, for each row, a fingerprint of its distinct_id, its number in the list (or -1) and its order, 8 bytes
 * each. Fingerprints that come twice are candidates; those are compared whole.
 */
export async function findRepeats(
  records: Spill,
  marks: Spill,
  readDistinctIds: ReadDistinctIds,
): Promise<Repeats> {
  const repeats: Repeats = { count: 0, withIdentity: 0, orders: new Set(), listed: new Set() };
  const candidates = await findCandidates(marks);
  if (candidates.size === 0) return repeats;
  const rowsByDistinctId = new Map<string, Row[]>();
  const add = (distinctId: string, row: Row) => {
    const rows = rowsByDistinctId.get(distinctId);
    if (rows) rows.push(row);
    else rowsByDistinctId.set(distinctId, [row]);
  };
  const matched = [...candidates.values()].flat();
  const distinctIds = await readDistinctIds(matched.map(({ number }) => number));
  for (const row of matched) add(distinctIds.get(row.number) ?? '', row);
  for (let partition = 0; partition < records.partitions; partition++) {
    const buffer = await records.read(partition);
    for (const at of offsetsOf(buffer)) {
      if (!candidates.has(readRecord.distinctIdFingerprint(buffer, at))) continue;
      add(readRecord.person(buffer, at).distinctId, {
        order: readRecord.order(buffer, at),
        number: -1,
        hasIdentity: readRecord.reason(buffer, at) === undefined,
      });
    }
  }
  for (const rows of rowsByDistinctId.values()) {
    rows.sort((left, right) => left.order - right.order);
    for (const row of rows.slice(1)) {
      repeats.count++;
      if (row.hasIdentity) repeats.withIdentity++;
      if (row.number < 0) repeats.orders.add(row.order);
      else repeats.listed.add(row.number);
    }
  }
  return repeats;
}

/** Fingerprints that more than one row has, with those of their rows that matched somebody on the list. */
async function findCandidates(marks: Spill): Promise<Map<number, Row[]>> {
  const candidates = new Map<number, Row[]>();
  for (let partition = 0; partition < marks.partitions; partition++) {
    const { buffer, byteOffset, length } = await marks.read(partition);
    const rows = new Float64Array(buffer, byteOffset, length / 8);
    const sorted = new Float64Array(rows.length / 3);
    for (let index = 0; index < sorted.length; index++) sorted[index] = rows[index * 3]!;
    sorted.sort();
    let found = false;
    for (let index = 1; index < sorted.length; index++) {
      if (sorted[index] !== sorted[index - 1]) continue;
      candidates.set(sorted[index]!, []);
      found = true;
    }
    if (!found) continue;
    for (let at = 0; at < rows.length; at += 3) {
      const [mark, number, order] = [rows[at]!, rows[at + 1]!, rows[at + 2]!];
      if (number >= 0) candidates.get(mark)?.push({ order, number, hasIdentity: true });
    }
  }
  return candidates;
}
