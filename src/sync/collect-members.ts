import type { IterableProjectType } from '../../db/tables.ts';
import { fingerprint, hashKey } from './hash.ts';
import { type IdentityRules, identityKey, resolveIdentity } from './identity.ts';
import { partitionOf } from './key-range.ts';
import { type MemberRecord, maxRecordBytes, offsetsOf, readRecord, writeRecord } from './member-record.ts';
import type { MemberPage, SourceMember } from './sources/source.ts';
import { createSpill, type Spill } from './spill.ts';

/** About this many people are planned at a time. */
const PEOPLE_PER_PARTITION = 32_768;
const MAX_PARTITIONS = 256;
/** Rooms for more members than any page has; a page's number times this is the order of its first member. */
const ORDERS_PER_PAGE = 1_000_000;

/** Everybody who was read, by ranges of their key, ready to be planned range by range. */
export interface CollectedMembers {
  /** Ranges of the key's first byte: partition p holds the keys from p/partitions on. */
  readonly partitions: number;
  /** Different distinct_ids. */
  readonly unique: number;
  readonly withIdentity: number;
  /** The records of one range, without the later ones of people who came twice. */
  read(partition: number): Promise<{ buffer: Buffer; offsets: number[] }>;
  close(): Promise<void>;
}

export interface MemberCollector {
  /** Pages may come in any order, and people more than once. */
  add(page: MemberPage): Promise<void>;
  readonly received: number;
  /** No page may be added afterwards. */
  finish(): Promise<CollectedMembers>;
  close(): Promise<void>;
}

export function partitionsFor(expectedPeople: number): number {
  let partitions = 1;
  while (partitions < MAX_PARTITIONS && partitions * PEOPLE_PER_PARTITION < expectedPeople) partitions *= 2;
  return partitions;
}

/** Normalises members as they are read and keeps them by range of their key. Memory does not grow with the cohort. */
export function createMemberCollector(rules: IdentityRules, expectedPeople: number): MemberCollector {
  const partitions = partitionsFor(expectedPeople);
  const records = createSpill(partitions);
  const distinctIds = createSpill(partitions);
  let received = 0;
  let withIdentity = 0;

  function addMember(member: SourceMember, order: number) {
    const record = toRecord(member, order, rules);
    if (record.reason === undefined) withIdentity++;
    received++;
    const partition = partitionOf(record.key, partitions);
    const room = records.reserve(partition, maxRecordBytes(record));
    records.commit(partition, writeRecord(room.buffer, room.start, record));
    const mark = record.distinctIdFingerprint;
    const slot = mark % partitions;
    const place = distinctIds.reserve(slot, 8);
    place.buffer.writeDoubleLE(mark, place.start);
    distinctIds.commit(slot, 8);
  }

  const close = async () => {
    await records.close();
    await distinctIds.close();
  };

  return {
    get received() {
      return received;
    },
    async add(page) {
      page.members.forEach((member, index) => {
        addMember(member, page.number * ORDERS_PER_PAGE + index);
      });
      if (records.isFull()) await records.flush();
      if (distinctIds.isFull()) await distinctIds.flush();
    },
    async finish() {
      const repeated = await findRepeatedOrders(records, await findCandidates(distinctIds));
      return {
        partitions,
        unique: received - repeated.size,
        withIdentity: repeated.size === 0 ? withIdentity : await countWithIdentity(records, repeated),
        async read(partition) {
          const buffer = await records.read(partition);
          const offsets = offsetsOf(buffer);
          const kept =
            repeated.size === 0
              ? offsets
              : offsets.filter((at) => !repeated.has(readRecord.order(buffer, at)));
          return { buffer, offsets: kept };
        },
        close,
      };
    },
    close,
  };
}

function toRecord(member: SourceMember, order: number, rules: IdentityRules): MemberRecord {
  // PostgreSQL's text cannot hold NUL.
  const distinctId = member.distinctId.includes('\0')
    ? member.distinctId.replaceAll('\0', '\uFFFD')
    : member.distinctId;
  const identity = resolveIdentity(member, rules);
  const { email, userId } = identity;
  const shared = { distinctIdFingerprint: fingerprint(distinctId), order, distinctId, email, userId };
  if (identity.kind === 'rejected') {
    return { ...shared, key: hashKey(`d:${distinctId}`), reason: identity.reason, sentFingerprint: 0 };
  }
  return {
    ...shared,
    key: hashKey(identityKey(rules.projectType, identity)),
    reason: undefined,
    sentFingerprint: sentFingerprintOf(rules.projectType, userId),
  };
}

/** Changes when the profile would have to be written again though the person stays the same; 0 for nothing to write. */
export function sentFingerprintOf(
  projectType: IterableProjectType,
  userId: string | null | undefined,
): number {
  return projectType === 'EMAIL' && userId != null ? fingerprint(userId) : 0;
}

/** Fingerprints that more than one member has. */
async function findCandidates(distinctIds: Spill): Promise<Set<number>> {
  const candidates = new Set<number>();
  for (let partition = 0; partition < distinctIds.partitions; partition++) {
    const bytes = await distinctIds.read(partition);
    const marks = new Float64Array(bytes.length / 8);
    for (let index = 0; index < marks.length; index++) marks[index] = bytes.readDoubleLE(index * 8);
    marks.sort();
    for (let index = 1; index < marks.length; index++) {
      if (marks[index] === marks[index - 1]) candidates.add(marks[index]!);
    }
  }
  return candidates;
}

/** The places of all but the first record of each distinct_id. */
async function findRepeatedOrders(records: Spill, candidates: Set<number>): Promise<Set<number>> {
  const repeated = new Set<number>();
  if (candidates.size === 0) return repeated;
  const firstOrders = new Map<string, number>();
  for (let partition = 0; partition < records.partitions; partition++) {
    const buffer = await records.read(partition);
    for (const at of offsetsOf(buffer)) {
      if (!candidates.has(readRecord.distinctIdFingerprint(buffer, at))) continue;
      const distinctId = readRecord.distinctId(buffer, at);
      const order = readRecord.order(buffer, at);
      const first = firstOrders.get(distinctId);
      if (first === undefined) firstOrders.set(distinctId, order);
      else {
        repeated.add(Math.max(first, order));
        firstOrders.set(distinctId, Math.min(first, order));
      }
    }
  }
  return repeated;
}

/** Without the records that do not count: somebody who came twice may have an identity only the second time. */
async function countWithIdentity(records: Spill, repeated: Set<number>): Promise<number> {
  let count = 0;
  for (let partition = 0; partition < records.partitions; partition++) {
    const buffer = await records.read(partition);
    for (const at of offsetsOf(buffer)) {
      if (readRecord.reason(buffer, at) === undefined && !repeated.has(readRecord.order(buffer, at))) count++;
    }
  }
  return count;
}
