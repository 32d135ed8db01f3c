import type { RejectionReason } from '../../db/tables.ts';
import { compareByCodePoint, fingerprint } from './hash.ts';
import { readRecord } from './member-record.ts';

/** What is known of one person on the list. */
export interface ListedPerson {
  /** What was last written to the profile besides the identity; 0 for nothing. */
  sentFingerprint: number;
  /** Iterable's answer never came: the person may or may not be there. */
  uncertain: boolean;
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
  listed: Map<string, ListedPerson>;
  rejections: OpenRejection[];
  now: Date;
}

/**
 * Compares everybody of one range of keys with what is known of the list. Pure. Of several members with one
 * identity the first in the order of distinct_ids counts. Takes what it uses out of input.listed.
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

  function qualify(at: number) {
    const key = readRecord.key(buffer, at);
    const known = listed.get(key);
    if (known && !known.uncertain) {
      if (known.sentFingerprint === readRecord.sentFingerprint(buffer, at)) plan.unchanged++;
      else plan.additions.push({ ...person(at), onList: true });
      listed.delete(key);
      return;
    }
    listed.delete(key);
    const refused = rejections.refusalOf(key);
    const candidate = refused || !known ? person(at) : undefined;
    if (refused && candidate && isStillRefused(refused, candidate, input.now)) {
      rejections.keep(refused);
      plan.stillRejected++;
    } else {
      // A refusal that is tried again stays open until Iterable has answered.
      if (refused && candidate && refused.fingerprint === rejectionFingerprint(candidate))
        rejections.keep(refused);
      plan.additions.push({ ...(candidate ?? person(at)), onList: false });
    }
  }

  const firstOf = new Map<string, number>();
  for (const at of input.offsets) {
    const reason = readRecord.reason(buffer, at);
    if (reason !== undefined) {
      reject(at, reason);
      continue;
    }
    const key = readRecord.key(buffer, at);
    const other = firstOf.get(key);
    if (other === undefined) {
      firstOf.set(key, at);
      continue;
    }
    const isFirst =
      compareByCodePoint(readRecord.distinctId(buffer, at), readRecord.distinctId(buffer, other)) < 0;
    if (isFirst) firstOf.set(key, at);
    reject(isFirst ? other : at, 'DUPLICATE_IDENTITY');
  }
  for (const at of firstOf.values()) qualify(at);
  for (const key of listed.keys()) plan.leavers.push(key);
  plan.closedRejections = rejections.rest();
  return plan;
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
