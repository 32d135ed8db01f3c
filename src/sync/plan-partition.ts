import type { RejectionReason } from '../../db/tables.ts';
import { compareByCodePoint, fingerprint } from './hash.ts';
import { KEY_BYTES, readRecord } from './member-record.ts';
import { compareKeys, sortByKey } from './sort-by-key.ts';

/** Who is on the list within the range, packed: a million objects would cost more than the whole comparison. */
export interface ListedPeople {
  /** Keys in ascending order, 16 bytes each. */
  keys: Buffer;
  /** What was last written to the profile besides the identity, in the same order; undefined when it is 0 for all. */
  sentFingerprints: number[] | undefined;
  /** Keys of those whose answer from Iterable never came: they may or may not be there. */
  uncertain: ReadonlySet<string>;
}

export interface OpenRejection {
  id: string;
  key: string;
  distinctId: string;
  reason: RejectionReason;
  fingerprint: number;
  retryAt: Date | null;
}

export interface PlannedPerson {
  key: string;
  distinctId: string;
  email: string | null;
  userId: string | null;
}

export interface PlannedAddition extends PlannedPerson {
  /** On the list already; only the profile's userId is to be written. */
  onList: boolean;
}

export interface PlannedRejection extends PlannedPerson {
  reason: RejectionReason;
  fingerprint: number;
}

export interface PartitionPlan {
  /** In ascending order of their keys: the database takes them in twice as fast. */
  additions: PlannedAddition[];
  /** Keys of those who are (or may be) on the list and do not qualify. */
  leavers: string[];
  unchanged: number;
  /** Rejected as before: nothing is to be written. */
  stillRejected: number;
  newRejections: PlannedRejection[];
  closedRejections: string[];
}

export interface PartitionInput {
  buffer: Buffer;
  offsets: number[];
  listed: ListedPeople;
  rejections: OpenRejection[];
  now: Date;
}

/**
 * Compares everybody of one range of keys with what is known of the list. Pure. Of several members with one
 * identity the first in the order of distinct_ids counts.
 */
export function planPartition(input: PartitionInput): PartitionPlan {
  const { buffer, listed } = input;
  const rejections = indexRejections(input.rejections);
  const plan: PartitionPlan = {
    additions: [],
    leavers: [],
    unchanged: 0,
    stillRejected: 0,
    newRejections: [],
    closedRejections: [],
  };
  const person = (at: number): PlannedPerson => ({
    key: readRecord.key(buffer, at),
    distinctId: readRecord.distinctId(buffer, at),
    email: readRecord.email(buffer, at) ?? null,
    userId: readRecord.userId(buffer, at) ?? null,
  });

  function reject(at: number, reason: RejectionReason) {
    const rejected = person(at);
    const mark = rejectionFingerprint(rejected);
    const open = rejections.take(rejected.key, rejected.distinctId, reason, mark);
    if (open) plan.stillRejected++;
    else plan.newRejections.push({ ...rejected, reason, fingerprint: mark });
  }

  function qualify(at: number, known: number | undefined) {
    const key = readRecord.key(buffer, at);
    const isUncertain = known !== undefined && listed.uncertain.has(key);
    if (known !== undefined && !isUncertain) {
      plan.additions.push({ ...person(at), onList: true });
      return;
    }
    const refused = rejections.refusalOf(key);
    const candidate = person(at);
    if (refused && !isUncertain && isStillRefused(refused, candidate, input.now)) {
      rejections.keep(refused);
      plan.stillRejected++;
      return;
    }
    // A refusal that is tried again stays open until Iterable has answered.
    if (refused && refused.fingerprint === rejectionFingerprint(candidate)) rejections.keep(refused);
    plan.additions.push({ ...candidate, onList: false });
  }

  /** The usual case, told without making a string of anything. */
  function isUnchanged(at: number, known: number): boolean {
    if ((listed.sentFingerprints?.[known] ?? 0) !== readRecord.sentFingerprint(buffer, at)) return false;
    return listed.uncertain.size === 0 || !listed.uncertain.has(readRecord.key(buffer, at));
  }

  // Both sides are in the order of their keys, so one walk along them finds who is on both.
  const offsets = sortByKey(buffer, input.offsets);
  const listedCount = listed.keys.length / KEY_BYTES;
  let listedIndex = 0;
  for (let index = 0; index < offsets.length; ) {
    let at = offsets[index++]!;
    const reason = readRecord.reason(buffer, at);
    if (reason !== undefined) {
      reject(at, reason);
      continue;
    }
    const keyAt = readRecord.keyAt(at);
    while (index < offsets.length) {
      const other = offsets[index]!;
      if (compareKeys(buffer, keyAt, buffer, readRecord.keyAt(other)) !== 0) break;
      index++;
      const isFirst =
        compareByCodePoint(readRecord.distinctId(buffer, other), readRecord.distinctId(buffer, at)) < 0;
      reject(isFirst ? at : other, 'DUPLICATE_IDENTITY');
      if (isFirst) at = other;
    }
    let order = 1;
    while (listedIndex < listedCount) {
      order = compareKeys(listed.keys, listedIndex * KEY_BYTES, buffer, keyAt);
      if (order >= 0) break;
      plan.leavers.push(keyOf(listed, listedIndex++));
    }
    const known = order === 0 ? listedIndex++ : undefined;
    if (known !== undefined && isUnchanged(at, known)) plan.unchanged++;
    else qualify(at, known);
  }
  while (listedIndex < listedCount) plan.leavers.push(keyOf(listed, listedIndex++));
  plan.closedRejections = rejections.rest();
  return plan;
}

function keyOf(listed: ListedPeople, index: number): string {
  return listed.keys.toString('hex', index * KEY_BYTES, (index + 1) * KEY_BYTES);
}

/** Changes when what is known of the person changes. */
export function rejectionFingerprint(person: { email: string | null; userId: string | null }): number {
  return fingerprint(`${person.email ?? ''}\n${person.userId ?? ''}`);
}

function isStillRefused(refusal: OpenRejection, person: PlannedPerson, now: Date): boolean {
  if (refusal.fingerprint !== rejectionFingerprint(person)) return false;
  return refusal.retryAt === null || refusal.retryAt > now;
}

/** Refusals by Iterable go by identity; our own rejections also by the member they speak of. */
function indexRejections(open: OpenRejection[]) {
  const refusals = new Map<string, OpenRejection>();
  const ours = new Map<string, OpenRejection>();
  const left = new Set<OpenRejection>(open);
  for (const rejection of open) {
    if (rejection.reason.startsWith('ITERABLE_')) refusals.set(rejection.key, rejection);
    else ours.set(`${rejection.key} ${rejection.distinctId}`, rejection);
  }
  return {
    take(key: string, distinctId: string, reason: RejectionReason, mark: number): boolean {
      const rejection = ours.get(`${key} ${distinctId}`);
      if (!rejection || rejection.reason !== reason || rejection.fingerprint !== mark) return false;
      return left.delete(rejection);
    },
    refusalOf: (key: string) => refusals.get(key),
    keep: (rejection: OpenRejection) => void left.delete(rejection),
    rest: () => [...left].map((rejection) => rejection.id),
  };
}
