import { makeBits } from '../../db/bits.ts';
import type { Db } from '../../db/connect.ts';
import { MARKS } from '../../db/queries/list-block.ts';
import { closeRefusals, insertRejections, renewRefusals } from '../../db/queries/rejection.ts';
import {
  type BatchCounts,
  loadBatchKeys,
  markBatchSettled,
  type SentBatch,
} from '../../db/queries/sync-batch.ts';
import type { RejectionReason } from '../../db/values.ts';
import type { BatchMember } from './batch-members.ts';
import { changePlaces, liveBits } from './change-places.ts';
import type { Place } from './listed-people.ts';
import { KEY_BYTES } from './member-record.ts';
import { decodePlace } from './people-block.ts';
import { rejectionFingerprint } from './plan-partition.ts';
import type { BatchAnswer } from './send-batch.ts';

export interface SettleContext {
  runId: string;
  exportId: number;
  now: Date;
  rejectedRetryIntervalMs: number;
  /** The export has rejections from before that may end with an answer. */
  hasRejections: boolean;
}

const NO_COUNTS: BatchCounts = { added: 0, unchanged: 0, removed: 0, rejected: 0 };

/** Refused for good, until the person changes. */
const PERMANENT: ReadonlySet<RejectionReason> = new Set(['ITERABLE_INVALID', 'ITERABLE_FORGOTTEN']);

/** Who was on the list and is refused for this is on it no longer: Iterable has erased them. */
const LOST: ReadonlySet<RejectionReason> = new Set(['ITERABLE_FORGOTTEN', 'ITERABLE_NOT_FOUND']);

/** Iterable will not say anything else of them the next time. */
const REFUSED_FOR_GOOD: ReadonlySet<RejectionReason> = new Set([
  ...PERMANENT,
  'ITERABLE_INVALID_DATA',
  'ITERABLE_NOT_FOUND',
]);

/**
 * Writes down Iterable's answer to an addition: list state, ledger and journal in one transaction. Undefined when
 * the batch had been settled before. refusedOnList: people who stay on the list, but with their old userId.
 */
export async function settleAddition(
  db: Db,
  context: SettleContext,
  batch: SentBatch,
  answer: BatchAnswer,
): Promise<{ counts: BatchCounts; refusedOnList: number } | undefined> {
  const { runId, exportId, now } = context;
  const refused = answer.refused.filter(({ member, reason }) => !member.onList || LOST.has(reason));
  const isRefused = indicesOf(refused.map(({ member }) => member));
  const resent = [...answer.accepted, ...answer.refused.map(({ member }) => member)].filter(
    (member) => member.onList && !isRefused.has(member.index),
  ).length;
  const counts = {
    ...NO_COUNTS,
    added: batch.size - refused.length - resent,
    unchanged: resent,
    rejected: refused.length,
  };
  const bits = {
    ...liveBits(batch.size, (index) => isRefused.has(index)),
    refused: makeBits(batch.size, (index) => isRefused.has(index)),
  };
  const isAlone = refused.length === 0 && !context.hasRejections && batch.places === null;
  const settled = await inOneGo(db, isAlone, async (trx) => {
    if (!(await markBatchSettled(trx, batch.id, { counts, bits, at: now }))) return false;
    // Whoever had a place has it here now, or has lost it.
    await leavePlaces(
      trx,
      placesOf(batch, () => true),
    );
    // Most cohorts have nobody refused, and then there is nothing to be looked for.
    if (refused.length > 0 || context.hasRejections) {
      const keys = await loadBatchKeys(trx, batch.id);
      const keyOf = (member: BatchMember) =>
        keys.toString('hex', member.index * KEY_BYTES, (member.index + 1) * KEY_BYTES);
      await closeRefusals(trx, exportId, runId, answer.accepted.map(keyOf));
      await recordRefusals(
        trx,
        context,
        refused.map((refusal) => ({ ...refusal, key: keyOf(refusal.member) })),
      );
    }
    return true;
  });
  return settled ? { counts, refusedOnList: answer.refused.length - refused.length } : undefined;
}

export interface SettledRemoval {
  counts: BatchCounts;
  /** People whom Iterable did not remove, and of whom it may say something else the next time. */
  stayed: number;
  /** All of several people were refused, and not because Iterable has erased them: it is no fault of theirs, and each run tries again. */
  isRefusedWhole: boolean;
}

/** The same for a removal. */
export async function settleRemoval(
  db: Db,
  context: SettleContext,
  batch: SentBatch,
  answer: BatchAnswer,
): Promise<SettledRemoval | undefined> {
  const notRemoved = answer.refused.filter((refusal) => !isGone(refusal));
  const stayed = indicesOf(notRemoved.map(({ member }) => member));
  const forGood = notRemoved.filter(({ reason }) => REFUSED_FOR_GOOD.has(reason));
  const isErased = notRemoved.every(({ reason }) => reason === 'ITERABLE_FORGOTTEN');
  const isRefusedWhole = batch.size > 1 && stayed.size === batch.size && !isErased;
  const refused = indicesOf(isRefusedWhole ? [] : forGood.map(({ member }) => member));
  const counts = { ...NO_COUNTS, removed: batch.size - stayed.size };
  const bits = { live: null, liveCount: 0, refused: makeBits(batch.size, (index) => stayed.has(index)) };
  const settled = await inOneGo(db, false, async (trx) => {
    if (!(await markBatchSettled(trx, batch.id, { counts, bits, at: context.now }))) return false;
    await leavePlaces(
      trx,
      placesOf(batch, (index) => !stayed.has(index)),
    );
    await changePlaces(
      trx,
      placesOf(batch, (index) => refused.has(index)).map((place) => ({
        place,
        change: { set: MARKS.refused },
      })),
    );
    return true;
  });
  return settled ? { counts, stayed: stayed.size - refused.size, isRefusedWhole } : undefined;
}

/**
 * Whom Iterable does not know is not on the list either; but for somebody whom a comparison has read from the list: then it
 * does not know them by what it lists them by.
 */
function isGone({ member, reason }: BatchAnswer['refused'][number]): boolean {
  return reason === 'ITERABLE_NOT_FOUND' && member.distinctId !== null;
}

/** A transaction, unless the row of the batch is all that is written: most are, and there are thousands. */
async function inOneGo<T>(db: Db, isAlone: boolean, settle: (db: Db) => Promise<T>): Promise<T> {
  return isAlone ? await settle(db) : await db.transaction().execute(settle);
}

function indicesOf(members: BatchMember[]): Set<number> {
  return new Set(members.map((member) => member.index));
}

function placesOf(batch: Pick<SentBatch, 'size' | 'places'>, isWanted: (index: number) => boolean): Place[] {
  const places: Place[] = [];
  for (let index = 0; batch.places && index < batch.size; index++) {
    const place = isWanted(index) ? decodePlace(batch.places, index) : undefined;
    if (place) places.push(place);
  }
  return places;
}

async function leavePlaces(db: Db, places: Place[]): Promise<void> {
  await changePlaces(
    db,
    places.map((place) => ({ place, change: 'leave' })),
  );
}

async function recordRefusals(
  db: Db,
  context: SettleContext,
  refused: (BatchAnswer['refused'][number] & { key: string })[],
): Promise<void> {
  if (refused.length === 0) return;
  const { runId, exportId, now } = context;
  const retryAt = (reason: RejectionReason) =>
    PERMANENT.has(reason) ? null : new Date(now.getTime() + context.rejectedRetryIntervalMs);
  const renewed = await renewRefusals(
    db,
    exportId,
    refused.map(({ key, reason }) => ({ key, reason, retryAt: retryAt(reason) })),
  );
  const fresh = refused.filter(({ key }) => !renewed.has(key));
  await closeRefusals(
    db,
    exportId,
    runId,
    fresh.map(({ key }) => key),
  );
  await insertRejections(
    db,
    { exportId, runId, at: now },
    fresh.map(({ member, key, reason }) => ({
      key,
      distinctId: member.distinctId ?? '',
      email: member.email,
      userId: member.userId,
      reason,
      fingerprint: rejectionFingerprint(member),
      retryAt: retryAt(reason),
    })),
  );
}
