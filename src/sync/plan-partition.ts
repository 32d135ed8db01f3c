import { MARKS } from '../../db/queries/list-block.ts';
import { NOTES } from '../../db/queries/sync-batch.ts';
import type { IterableProjectType, RejectionReason } from '../../db/values.ts';
import { compareByCodePoint, fingerprint, toHex } from './hash.ts';
import type { ListedPeople, Place } from './listed-people.ts';
import { readRecord } from './member-record.ts';
import type { BlockPerson, Person } from './people-block.ts';
import { compareKeys, sortByKey } from './sort-by-key.ts';

export interface OpenRejection {
  id: string;
  /** 32 hex digits. */
  key: string;
  distinctId: string;
  reason: RejectionReason;
  fingerprint: number;
  retryAt: Date | null;
}

export interface PlannedRejection extends Person {
  /** 32 hex digits. */
  key: string;
  distinctId: string;
  reason: RejectionReason;
  fingerprint: number;
}

export interface PartitionPlan {
  /** In ascending order of their keys. */
  additions: BlockPerson[];
  /** On the list as they should be, but known by something else: nothing is to be sent. */
  restated: BlockPerson[];
  /** Places of people who turned out not to be on the list, and are not to be put there. */
  vacated: Place[];
  /** Places of people who were kept on the list, and qualify once more. */
  requalified: Place[];
  unchanged: number;
  /** Rejected as before, and why: nothing is to be written. */
  stillRejected: RejectionReason[];
  newRejections: PlannedRejection[];
  closedRejections: string[];
}

export interface PartitionInput {
  projectType: IterableProjectType;
  buffer: Buffer;
  offsets: number[];
  listed: ListedPeople;
  /** What is known of people on the list whom planPartition asks about: those that listMet names. */
  personOf: (number: number) => Person;
  rejections: OpenRejection[];
  now: Date;
}

/** Numbers in the list of the people whom these records speak of. */
export function listMet(input: Pick<PartitionInput, 'buffer' | 'offsets' | 'listed'>): number[] {
  const { buffer, offsets, listed } = input;
  if (listed.count === 0) return [];
  const met: number[] = [];
  for (const at of offsets) {
    if (readRecord.reason(buffer, at) !== undefined) continue;
    const number = listed.find(buffer, readRecord.keyAt(at));
    if (number >= 0) met.push(number);
  }
  return met;
}

/**
 * Decides about everybody of one range of keys whose row did not simply match the list. Notes in listed who qualifies,
 * and changes nothing else. Of several members with one identity the first in the order of distinct_ids counts.
 */
export function planPartition(input: PartitionInput): PartitionPlan {
  const { buffer, listed, projectType } = input;
  const rejections = indexRejections(input.rejections);
  const plan: PartitionPlan = {
    additions: [],
    restated: [],
    vacated: [],
    requalified: [],
    unchanged: 0,
    stillRejected: [],
    newRejections: [],
    closedRejections: [],
  };
  const personAt = (at: number) => ({
    distinctId: readRecord.distinctId(buffer, at),
    email: readRecord.email(buffer, at) ?? null,
    userId: readRecord.userId(buffer, at) ?? null,
  });

  function reject(key: string, person: Person, reason: RejectionReason) {
    const distinctId = person.distinctId ?? '';
    const rejected = { ...person, key: toHex(key), distinctId };
    const mark = rejectionFingerprint(rejected);
    if (rejections.take(rejected.key, distinctId, reason, mark)) plan.stillRejected.push(reason);
    else plan.newRejections.push({ ...rejected, reason, fingerprint: mark });
  }

  function qualify(at: number, number: number) {
    const key = readRecord.key(buffer, at);
    const person = personAt(at);
    const marks = number < 0 ? 0 : listed.marksOf(number);
    const place = number < 0 ? undefined : listed.placeOf(number);
    const described = { ...person, key, fingerprint: readRecord.fingerprint(buffer, at), place };
    if (number >= 0) listed.see(number);
    if (place && (marks & MARKS.kept) !== 0) plan.requalified.push(place);
    if (number >= 0 && (marks & (MARKS.uncertain | MARKS.missing)) === 0) {
      const before = input.personOf(number);
      const isWritten = projectType === 'EMAIL' && person.userId !== null && person.userId !== before.userId;
      if (isWritten) plan.additions.push({ ...described, note: NOTES.resent });
      else {
        plan.restated.push({ ...described, note: 0 });
        plan.unchanged++;
      }
      return;
    }
    const isUncertain = (marks & MARKS.uncertain) !== 0;
    const refused = rejections.refusalOf(toHex(key));
    if (refused && !isUncertain && isStillRefused(refused, person, input.now)) {
      rejections.keep(refused);
      plan.stillRejected.push(refused.reason);
      if (place) plan.vacated.push(place);
      return;
    }
    // A refusal that is tried again stays open until Iterable has answered.
    if (refused && refused.fingerprint === rejectionFingerprint(person)) rejections.keep(refused);
    const note = (marks & MARKS.missing) !== 0 ? NOTES.drift : 0;
    plan.additions.push({ ...described, note });
  }

  const offsets = sortByKey(buffer, input.offsets);
  for (let index = 0; index < offsets.length; ) {
    let at = offsets[index++]!;
    const key = readRecord.key(buffer, at);
    const reason = readRecord.reason(buffer, at);
    if (reason !== undefined) {
      reject(key, personAt(at), reason);
      continue;
    }
    const keyAt = readRecord.keyAt(at);
    while (index < offsets.length) {
      const other = offsets[index]!;
      if (compareKeys(buffer, keyAt, buffer, readRecord.keyAt(other)) !== 0) break;
      index++;
      const isFirst =
        compareByCodePoint(readRecord.distinctId(buffer, other), readRecord.distinctId(buffer, at)) < 0;
      reject(key, personAt(isFirst ? at : other), 'DUPLICATE_IDENTITY');
      if (isFirst) at = other;
    }
    const number = listed.find(buffer, keyAt);
    if (number < 0 || !listed.isSeen(number)) {
      qualify(at, number);
      continue;
    }
    // Somebody with the same identity matched the list, and was counted.
    const matched = input.personOf(number);
    const isFirst = compareByCodePoint(readRecord.distinctId(buffer, at), matched.distinctId ?? '') < 0;
    reject(key, isFirst ? matched : personAt(at), 'DUPLICATE_IDENTITY');
    if (isFirst) {
      plan.unchanged--;
      qualify(at, number);
    }
  }
  plan.closedRejections = rejections.rest();
  return plan;
}

/** Changes when what is known of the person changes. */
export function rejectionFingerprint(person: { email: string | null; userId: string | null }): number {
  return fingerprint(`${person.email ?? ''}\n${person.userId ?? ''}`);
}

function isStillRefused(refusal: OpenRejection, person: Person, now: Date): boolean {
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
