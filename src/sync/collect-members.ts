import { fingerprint, hashKey } from './hash.ts';
import { type IdentityRules, identityKey, resolveIdentity } from './identity.ts';
import { partitionOf } from './key-range.ts';
import type { ListedPeople } from './listed-people.ts';
import {
  KEY_BYTES,
  type MemberRecord,
  maxRecordBytes,
  offsetsOf,
  readRecord,
  writeKey,
  writeRecord,
} from './member-record.ts';
import { findRepeats, type ReadDistinctIds, type Repeats } from './repeated-members.ts';
import type { MemberPage, SourceMember } from './sources/source.ts';
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
  const partitions = Math.max(partitionsFor(Math.max(expectedPeople, count * part.parts)), part.parts);
  const records = createSpill(partitions);
  const marks = createSpill(partitions);
  let received = 0;
  let withIdentity = 0;
  let matched = 0;

  /** listedNumber: of the person on the list with the same identity, or -1. */
  function addRecord(record: MemberRecord, listedNumber: number) {
    received++;
    if (record.reason === undefined) withIdentity++;
    const number = isMatch(listed, listedNumber, record) ? listedNumber : -1;
    if (number >= 0) {
      listed.see(number);
      matched++;
    } else {
      const partition = partitionOf(record.key.charCodeAt(0), partitions);
      const room = records.reserve(partition, maxRecordBytes(record));
      records.commit(partition, writeRecord(room.buffer, room.start, record));
    }
    // Who it was is looked up only when the same mark comes twice.
    const slot = record.distinctIdFingerprint % partitions;
    const place = marks.reserve(slot, 24);
    place.buffer.writeDoubleLE(record.distinctIdFingerprint, place.start);
    place.buffer.writeDoubleLE(number, place.start + 8);
    place.buffer.writeDoubleLE(record.order, place.start + 16);
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
    async add(page) {
      const start = page.number * ORDERS_PER_PAGE;
      const all = page.members.map((member, index) => toRecord(member, start + index, rules));
      const numbers = listed.findKeys(keysOf(all), all.length);
      all.forEach((record, index) => {
        addRecord(record, numbers[index]!);
      });
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

function keysOf(records: MemberRecord[]): Buffer {
  const keys = Buffer.allocUnsafe(records.length * KEY_BYTES);
  records.forEach(({ key }, index) => {
    writeKey(keys, index * KEY_BYTES, key);
  });
  return keys;
}

/** On the list, known by all the same, nothing special about them, and nobody came as the same person before. */
function isMatch(listed: ListedPeople, number: number, record: MemberRecord): boolean {
  if (number < 0 || record.reason !== undefined || listed.isSeen(number)) return false;
  return listed.marksOf(number) === 0 && listed.fingerprintOf(number) === record.fingerprint;
}

function toRecord(member: SourceMember, order: number, rules: IdentityRules): MemberRecord {
  // PostgreSQL's text cannot hold NUL.
  const distinctId = member.distinctId.includes('\0')
    ? member.distinctId.replaceAll('\0', '\uFFFD')
    : member.distinctId;
  const identity = resolveIdentity(member, rules);
  const { email, userId } = identity;
  const isRejected = identity.kind === 'rejected';
  const distinctIdFingerprint = fingerprint(distinctId);
  // One object for each member: there are a million of them.
  return {
    key: hashKey(isRejected ? `d:${distinctId}` : identityKey(rules.projectType, identity)),
    reason: isRejected ? identity.reason : undefined,
    distinctIdFingerprint,
    fingerprint: isRejected ? 0 : personFingerprint(rules.projectType, distinctIdFingerprint, email, userId),
    order,
    distinctId,
    email,
    userId,
  };
}

/** Of all that is known of somebody but the identity itself, which the key stands for. Never 0. */
function personFingerprint(
  projectType: IdentityRules['projectType'],
  mark: number,
  email: string | undefined,
  userId: string | undefined,
): number {
  const other = projectType === 'EMAIL' ? userId : email;
  return (other === undefined ? mark : fingerprint(`${mark} ${other}`)) || 1;
}
