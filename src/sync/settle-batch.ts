import type { Db } from '../../db/connect.ts';
import {
  deleteUncertain,
  endStays,
  recordArrivals,
  recordDepartures,
  recordNewcomers,
} from '../../db/queries/list-member.ts';
import {
  closeRefusals,
  hasOpenRejections,
  insertRejections,
  renewRefusals,
} from '../../db/queries/rejection.ts';
import { type BatchCounts, commitWithoutWaiting, markBatchSettled } from '../../db/queries/sync-batch.ts';
import type { IterableProjectType, RejectionReason } from '../../db/tables.ts';
import type { BatchMember } from './batch-members.ts';
import { sentFingerprintOf } from './collect-members.ts';
import { rejectionFingerprint } from './plan-partition.ts';
import type { BatchAnswer } from './send-batch.ts';

export interface SettleContext {
  runId: string;
  exportId: number;
  projectType: IterableProjectType;
  now: Date;
  rejectedRetryIntervalMs: number;
}

const NO_COUNTS: BatchCounts = { added: 0, unchanged: 0, removed: 0, rejected: 0 };

/** Refused for good, until the person changes. */
const PERMANENT: ReadonlySet<RejectionReason> = new Set(['ITERABLE_INVALID', 'ITERABLE_FORGOTTEN']);

/** Who was on the list and is refused for this is on it no longer: Iterable has erased them. */
const LOST: ReadonlySet<RejectionReason> = new Set(['ITERABLE_FORGOTTEN', 'ITERABLE_NOT_FOUND']);

/** Whom Iterable does not know, has erased or cannot name is not on the list either. */
const GONE_ANYWAY: ReadonlySet<RejectionReason> = new Set([
  'ITERABLE_NOT_FOUND',
  'ITERABLE_FORGOTTEN',
  'ITERABLE_INVALID',
]);

/**
 * Writes down Iterable's answer to an addition: list state, ledger and journal in one transaction. Undefined when
 * the batch had been settled before. refusedOnList: people who stay on the list, but with their old userId.
 */
export async function settleAddition(
  db: Db,
  context: SettleContext,
  number: number,
  answer: BatchAnswer,
): Promise<{ counts: BatchCounts; refusedOnList: number } | undefined> {
  const { runId, exportId, now } = context;
  const isRefused = ({ member, reason }: BatchAnswer['refused'][number]) =>
    !member.onList || LOST.has(reason);
  const refused = answer.refused.filter(isRefused);
  const lost = refused.filter(({ member }) => member.onList).map(({ member }) => member.key);
  const kept = answer.refused.filter((refusal) => !isRefused(refusal)).map(({ member }) => member);
  const arrivals = [...answer.accepted, ...kept];
  const known = arrivals.filter((member) => member.onList);
  const newcomers = arrivals.filter((member) => !member.onList);
  const counts = {
    ...NO_COUNTS,
    added: newcomers.length,
    unchanged: known.length,
    rejected: refused.length,
  };
  const run = { exportId, runId, at: now, uncertain: false };
  const toArrivals = (members: BatchMember[]) =>
    members.map((member) => toArrival(context.projectType, member));

  const settle = (areNewcomersNew: boolean) =>
    db.transaction().execute(async (trx) => {
      await commitWithoutWaiting(trx);
      if (!(await markBatchSettled(trx, runId, number, counts))) return false;
      if (!areNewcomersNew) await recordArrivals(trx, run, toArrivals(newcomers));
      else if (!(await recordNewcomers(trx, run, toArrivals(newcomers)))) throw new KnownAfterAll();
      await recordArrivals(trx, run, toArrivals(known));
      // Most cohorts have nobody refused, and then there is nothing to be looked for.
      if (await hasOpenRejections(trx, exportId)) {
        const accepted = answer.accepted.map((member) => member.key);
        await closeRefusals(trx, exportId, runId, accepted);
      }
      await recordRefusals(trx, context, refused);
      await endStays(trx, exportId, lost, now);
      const refusedKeys = refused.map(({ member }) => member.key);
      await deleteUncertain(trx, exportId, refusedKeys);
      return true;
    });
  const settled = await settle(true).catch((error) => {
    if (error instanceof KnownAfterAll) return settle(false);
    throw error;
  });
  return settled ? { counts, refusedOnList: kept.length } : undefined;
}

/** Somebody to be added is on the list, uncertainly, or since a worker that had been given up for dead wrote it down. */
class KnownAfterAll extends Error {}

/** The same for a removal. stayed: people whom Iterable refused to remove; the next run tries again. */
export async function settleRemoval(
  db: Db,
  context: SettleContext,
  number: number,
  answer: BatchAnswer,
): Promise<{ counts: BatchCounts; stayed: number } | undefined> {
  const gone = answer.refused.filter(({ reason }) => GONE_ANYWAY.has(reason)).map(({ member }) => member);
  const removed = [...answer.accepted, ...gone].map((member) => member.key);
  const counts = { ...NO_COUNTS, removed: removed.length };
  const settled = await db.transaction().execute(async (trx) => {
    await commitWithoutWaiting(trx);
    if (!(await markBatchSettled(trx, context.runId, number, counts))) return false;
    await recordDepartures(
      trx,
      { exportId: context.exportId, runId: context.runId, at: context.now },
      removed,
    );
    return true;
  });
  return settled ? { counts, stayed: answer.refused.length - gone.length } : undefined;
}

export function toArrival(projectType: IterableProjectType, member: BatchMember) {
  return { ...member, sentFingerprint: sentFingerprintOf(projectType, member.userId) };
}

async function recordRefusals(
  db: Db,
  context: SettleContext,
  refused: BatchAnswer['refused'],
): Promise<void> {
  if (refused.length === 0) return;
  const { runId, exportId, now } = context;
  const retryAt = (reason: RejectionReason) =>
    PERMANENT.has(reason) ? null : new Date(now.getTime() + context.rejectedRetryIntervalMs);
  const renewed = await renewRefusals(
    db,
    exportId,
    refused.map(({ member, reason }) => ({ key: member.key, reason, retryAt: retryAt(reason) })),
  );
  const fresh = refused.filter(({ member }) => !renewed.has(member.key));
  await closeRefusals(
    db,
    exportId,
    runId,
    fresh.map(({ member }) => member.key),
  );
  await insertRejections(
    db,
    { exportId, runId, at: now },
    fresh.map(({ member, reason }) => ({
      ...member,
      distinctId: member.distinctId ?? '',
      reason,
      fingerprint: rejectionFingerprint(member),
      retryAt: retryAt(reason),
    })),
  );
}
