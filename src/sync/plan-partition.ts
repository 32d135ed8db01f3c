import { MARKS } from '../../db/queries/list-block.ts';
import { NOTES } from '../../db/queries/sync-batch.ts';
import type { IterableProjectType, RejectionReason } from '../../db/values.ts';
import { compareByCodePoint, fingerprint, toHex } from './hash.ts';
import type { ListedPeople, Place } from './listed-people.ts';
import { type Person, readRecord } from './member-record.ts';
import type { RecordedPerson } from './people-block.ts';
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

/**
 * People whose records are somewhere in the buffer of their range. Numbers, because objects that live as long as a range
 * is planned cost more to collect than to make again.
 */
export interface PlannedPeople {
  offsets: number[];
  /** Of those of whom there is more to say than usual, by their offsets. */
  details: Map<number, Pick<RecordedPerson, 'note' | 'place'>>;
}

export interface PartitionPlan {
  /** In ascending order of their keys. */
  additions: PlannedPeople;
  /** On the list as they should be, but known by something else: nothing is to be sent. */
  restated: PlannedPeople;
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

/** Numbers in the list of the people whom these records speak of and of whom more must be known than that. */
export function listMet(input: Pick<PartitionInput, 'buffer' | 'offsets' | 'listed'>): number[] {
  const { buffer, offsets, listed } = input;
  if (listed.count === 0) return [];
  const met: number[] = [];
  for (const at of offsets) {
    if (readRecord.reason(buffer, at) !== undefined) continue;
    const number = listed.find(buffer, readRecord.keyAt(at));
    if (number >= 0 && (listed.isSeen(number) || !isAsListed(listed, number, buffer, at))) met.push(number);
  }
  return met;
}

/** On the list, known by all the same, and nothing special about them. */
function isAsListed(listed: ListedPeople, number: number, buffer: Buffer, at: number): boolean {
  return listed.marksOf(number) === 0 && listed.fingerprintOf(number) === readRecord.fingerprint(buffer, at);
}

/**
 * Decides about everybody of one range of keys whose row did not simply match the list. Notes in listed who qualifies,
 * and changes nothing else. Of several members with one identity the first in the order of distinct_ids counts.
 */
export function planPartition(input: PartitionInput): PartitionPlan {
  const { buffer, listed, projectType } = input;
  const rejections = indexRejections(input.rejections);
  const plan: PartitionPlan = {
    additions: { offsets: [], details: new Map() },
    restated: { offsets: [], details: new Map() },
    vacated: [],
    requalified: [],
    unchanged: 0,
    stillRejected: [],
    newRejections: [],
    closedRejections: [],
  };
  const personAt = (at: number) => readRecord.person(buffer, at);
  const hexKeyAt = (at: number) => toHex(readRecord.key(buffer, at));

  function reject(key: string, person: Person, reason: RejectionReason) {
    const distinctId = person.distinctId ?? '';
    const rejected = { ...person, key, distinctId };
    const mark = rejectionFingerprint(rejected);
    if (rejections.take(rejected.key, distinctId, reason, mark)) plan.stillRejected.push(reason);
    else plan.newRejections.push({ ...rejected, reason, fingerprint: mark });
  }

  function qualify(at: number, number: number) {
    const marks = number < 0 ? 0 : listed.marksOf(number);
    const place = number < 0 ? undefined : listed.placeOf(number);
    if (number >= 0) listed.see(number);
    if (number >= 0 && isAsListed(listed, number, buffer, at)) {
      plan.unchanged++;
      return;
    }
    if (place && (marks & MARKS.kept) !== 0) plan.requalified.push(place);
    if (number >= 0 && (marks & (MARKS.uncertain | MARKS.missing)) === 0) {
      if (isWritten(at, number)) addPerson(plan.additions, at, NOTES.resent, place);
      else {
        addPerson(plan.restated, at, 0, place);
        plan.unchanged++;
      }
      return;
    }
    const isUncertain = (marks & MARKS.uncertain) !== 0;
    const refused = rejections.hasRefusals ? rejections.refusalOf(hexKeyAt(at)) : undefined;
    if (refused && !isUncertain && isStillRefused(refused, personAt(at), input.now)) {
      rejections.keep(refused);
      plan.stillRejected.push(refused.reason);
      if (place) plan.vacated.push(place);
      return;
    }
    // A refusal that is tried again stays open until Iterable has answered.
    if (refused && refused.fingerprint === rejectionFingerprint(personAt(at))) rejections.keep(refused);
    const note = (marks & MARKS.missing) !== 0 ? NOTES.drift : 0;
    addPerson(plan.additions, at, note, place);
  }

  /** A userId that has changed is written to the profile. */
  function isWritten(at: number, number: number): boolean {
    if (projectType !== 'EMAIL') return false;
    const { userId } = personAt(at);
    return userId !== null && userId !== input.personOf(number).userId;
  }

  const offsets = sortByKey(buffer, input.offsets);
  for (let index = 0; index < offsets.length; ) {
    let at = offsets[index++]!;
    const reason = readRecord.reason(buffer, at);
    if (reason !== undefined) {
      reject(hexKeyAt(at), personAt(at), reason);
      continue;
    }
    while (index < offsets.length) {
      const other = offsets[index]!;
      if (compareKeys(buffer, readRecord.keyAt(at), buffer, readRecord.keyAt(other)) !== 0) break;
      index++;
      const isFirst = compareByCodePoint(personAt(other).distinctId, personAt(at).distinctId) < 0;
      reject(hexKeyAt(at), personAt(isFirst ? at : other), 'DUPLICATE_IDENTITY');
      if (isFirst) at = other;
    }
    const number = listed.find(buffer, readRecord.keyAt(at));
    if (number < 0 || !listed.isSeen(number)) {
      qualify(at, number);
      continue;
    }
    // Somebody with the same identity matched the list, and was counted.
    const matched = input.personOf(number);
    const isFirst = compareByCodePoint(personAt(at).distinctId, matched.distinctId ?? '') < 0;
    reject(hexKeyAt(at), isFirst ? matched : personAt(at), 'DUPLICATE_IDENTITY');
    if (isFirst) {
      plan.unchanged--;
      qualify(at, number);
    }
  }
  plan.closedRejections = rejections.rest();
  return plan;
}

const USUAL: Pick<RecordedPerson, 'note' | 'place'> = { note: 0, place: undefined };

function addPerson(people: PlannedPeople, at: number, note: number, place: Place | undefined): void {
  people.offsets.push(at);
  if (note !== 0 || place) people.details.set(at, { note, place });
}

export function* listPlanned(buffer: Buffer, { offsets, details }: PlannedPeople): Iterable<RecordedPerson> {
  for (const at of offsets) yield { buffer, at, ...(details.get(at) ?? USUAL) };
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
    hasRefusals: refusals.size > 0,
    refusalOf: (key: string) => refusals.get(key),
    keep: (rejection: OpenRejection) => void left.delete(rejection),
    rest: () => [...left].map((rejection) => rejection.id),
  };
}
