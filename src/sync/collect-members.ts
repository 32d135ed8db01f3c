import type { IdentityRules } from './identity.ts';
import { partitionOf } from './key-range.ts';
import type { ListedPeople } from './listed-people.ts';
import {
  KEY_BYTES,
  type MemberColumns,
  maxRecordBytes,
  offsetsOf,
  readRecord,
  writeRecord,
} from './member-record.ts';
import { createNormaliser } from './normalise-members.ts';
import { findRepeats, type ReadDistinctIds, type Repeats } from './repeated-members.ts';
import type { MemberPage } from './sources/source.ts';
import { createSpill } from './spill.ts';

/** About this many people are planned at a time. */
const PEOPLE_PER_PARTITION = 32_768;
const MAX_PARTITIONS = 256;
/** Rooms for more members than any page has; a page's number times this is the order of its first member. */
const ORDERS_PER_PAGE = 1_000_000;

/**
 * Everybody who was read. Who is on the list as they should be is noted there (ListedPeople.see) and counted; everybody
 * else waits by ranges of their key, ready to be planned range by range.
 */
export interface CollectedMembers {
  /** Ranges of the key's first byte: partition p holds the keys from p/partitions on. */
  readonly partitions: number;
  /** Different distinct_ids. */
  readonly unique: number;
  readonly withIdentity: number;
  /** How many of them are on the list as they should be. */
  readonly matched: number;
  /** The records of one range, without the later ones of people who came twice. They stay as they are until the next read. */
  read(partition: number): Promise<{ buffer: Buffer; offsets: number[] }>;
  close(): Promise<void>;
}

export interface MemberCollector {
  /** Pages may come in any order, and people more than once. */
  add(page: MemberPage): Promise<void>;
  readonly received: number;
  /** No page may be added afterwards. readDistinctIds: of people who were noted on the list. */
  finish(readDistinctIds: ReadDistinctIds): Promise<CollectedMembers>;
  close(): Promise<void>;
}

export function partitionsFor(expectedPeople: number): number {
  let partitions = 1;
  while (partitions < MAX_PARTITIONS && partitions * PEOPLE_PER_PARTITION < expectedPeople) partitions *= 2;
  return partitions;
}

/** Normalises members as they are read and compares them with the list. Memory does not grow with the cohort. */
export function createMemberCollector(
  rules: IdentityRules,
  expectedPeople: number,
  listed: ListedPeople,
): MemberCollector {
  const { count, part } = listed;
  const normalise = createNormaliser(rules);
  const partitions = Math.max(partitionsFor(Math.max(expectedPeople, count * part.parts)), part.parts);
  const records = createSpill(partitions);
  const marks = createSpill(partitions);
  let received = 0;
  let withIdentity = 0;
  let matched = 0;

  /** listedNumber: of the person on the list with the same identity, or -1. */
  function addMember(columns: MemberColumns, index: number, order: number, listedNumber: number) {
    received++;
    const hasIdentity = columns.identities[index]!.kind === 'subscriber';
    if (hasIdentity) withIdentity++;
    const isMatching = hasIdentity && isMatch(listed, listedNumber, columns.fingerprints[index]!);
    const number = isMatching ? listedNumber : -1;
    if (number >= 0) {
      listed.see(number);
      matched++;
    } else {
      const partition = partitionOf(columns.keys[index * KEY_BYTES]!, partitions);
      const room = records.reserve(partition, maxRecordBytes(columns, index));
      records.commit(partition, writeRecord(room.buffer, room.start, columns, index, order));
    }
    // Who it was is looked up only when the same mark comes twice.
    const mark = columns.distinctIdFingerprints[index]!;
    const slot = mark % partitions;
    const place = marks.reserve(slot, 24);
    place.buffer.writeDoubleLE(mark, place.start);
    place.buffer.writeDoubleLE(number, place.start + 8);
    place.buffer.writeDoubleLE(order, place.start + 16);
    marks.commit(slot, 24);
  }

  const close = async () => {
    await records.close();
    await marks.close();
  };

  return {
    get received() {
      return received;
    },
    async add({ number, members }) {
      const columns = normalise(members);
      const numbers = listed.findKeys(columns.keys, members.length);
      for (let index = 0; index < members.length; index++) {
        addMember(columns, index, number * ORDERS_PER_PAGE + index, numbers[index]!);
      }
      if (records.isFull()) await records.flush();
      if (marks.isFull()) await marks.flush();
    },
    async finish(readDistinctIds) {
      const repeats: Repeats = await findRepeats(records, marks, readDistinctIds);
      for (const number of repeats.listed) listed.unsee(number);
      return {
        partitions,
        unique: received - repeats.count,
        withIdentity: withIdentity - repeats.withIdentity,
        matched: matched - repeats.listed.size,
        async read(partition) {
          const buffer = await records.read(partition);
          const offsets = offsetsOf(buffer);
          const kept =
            repeats.orders.size === 0
              ? offsets
              : offsets.filter((at) => !repeats.orders.has(readRecord.order(buffer, at)));
          return { buffer, offsets: kept };
        },
        close,
      };
    },
    close,
  };
}

/** On the list, known by all the same, nothing special about them, and nobody came as the same person before. */
function isMatch(listed: ListedPeople, number: number, fingerprint: number): boolean {
  if (number < 0 || listed.isSeen(number)) return false;
  return listed.marksOf(number) === 0 && listed.fingerprintOf(number) === fingerprint;
}
