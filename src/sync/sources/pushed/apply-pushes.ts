import { setTimeout as wait } from 'node:timers/promises';
import { type AppliedSession, applySession } from '../../../../db/queries/apply-session.ts';
import { findExportIdOfCohort } from '../../../../db/queries/export.ts';
import {
  findPushedSize,
  lockSourceNote,
  setPushed,
  setSourceNote,
} from '../../../../db/queries/pushed-member.ts';
import { forgetLeft, listCohortsWithLeft } from '../../../../db/queries/pushed-names.ts';
import {
  deleteOldSessions,
  expireSessions,
  listPushedCohorts,
  lockPushedCohort,
  markWholeSessions,
  nextWholeSession,
} from '../../../../db/queries/pushed-session.ts';
import type { SyncDeps } from '../../deps.ts';
import { queuePushRun } from '../../queue-run.ts';
import { addLeftovers, addLoss } from './push-note.ts';

const DAY_MS = 24 * 3_600_000;
/** Mixpanel's own snapshot lasts as long, and what it repeats is of it; then it tells all members anew. */
const EXPIRES_AFTER_MS = 3 * DAY_MS;
/** Until then a page that is repeated is known to have been applied. */
const FORGOTTEN_AFTER_MS = 30 * DAY_MS;

/**
 * Applies the sessions that are whole, each in one go, and runs the dynamic exports of their cohorts. Any number of
 * processes may call it at once.
 */
export async function applyPushes(deps: SyncDeps, signal?: AbortSignal): Promise<void> {
  for (const cohortId of await listPushedCohorts(deps.db)) {
    if (signal?.aborted) return;
    await applyToCohort(deps, cohortId).catch((error) => {
      if (signal?.aborted) return;
      deps.logger.warn(
        { err: error, cohortId },
        'a pushed session could not be applied; the next beat tries again',
      );
    });
  }
}

/** How often it is looked whether another process has applied them. */
const LOOK_MS = 200;

/**
 * Applies what of the cohort is whole, or waits until another process has. Gives how many people it has then; null before all
 * members were pushed once.
 */
export async function applyPushesNow(
  deps: SyncDeps,
  cohortId: string,
  signal: AbortSignal,
): Promise<number | null> {
  const apply = async () => {
    while (!(await applyToCohort(deps, cohortId))) {
      await wait(LOOK_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
    return await findPushedSize(deps.db, cohortId);
  };
  // The last page of the first push may have come while this waited for another process.
  return (await apply()) ?? (await apply());
}

/** False when another process is at it. */
async function applyToCohort(deps: SyncDeps, cohortId: string): Promise<boolean> {
  // Before the transaction: whoever is refused its lock leaves what is whole to the one that has it.
  await markWholeSessions(deps.db, cohortId);
  return await deps.db.transaction().execute(async (trx) => {
    if (!(await lockPushedCohort(trx, cohortId))) return false;
    const applied: AppliedSession[] = [];
    const leftSince = new Date(deps.clock.now().getTime() - EXPIRES_AFTER_MS);
    for (;;) {
      const session = await nextWholeSession(trx, cohortId);
      if (!session) break;
      applied.push(await applySession(trx, session, { leftSince }));
    }
    if (applied.length === 0) return true;
    let note = await lockSourceNote(trx, cohortId);
    for (const { isReplaced, ...leftovers } of applied) {
      // What was wrong stays wrong until all members are told anew.
      note = addLeftovers(isReplaced ? null : note, leftovers);
    }
    await setPushed(trx, cohortId, { now: deps.clock.now(), note });
    const exportId = await findExportIdOfCohort(trx, cohortId);
    if (exportId !== undefined) await queuePushRun({ ...deps, db: trx }, exportId);
    return true;
  });
}

/** What never became whole removes nobody; the cohort says so. Who left is forgotten when no removal of them may come again. */
export async function expirePushes({ db, clock }: SyncDeps): Promise<void> {
  const now = clock.now().getTime();
  const expiresBefore = new Date(now - EXPIRES_AFTER_MS);
  await db.transaction().execute(async (trx) => {
    for (const session of await expireSessions(trx, expiresBefore)) {
      const note = await lockSourceNote(trx, session.cohort_id);
      await setSourceNote(trx, session.cohort_id, addLoss(note, session));
    }
  });
  for (const cohortId of await listCohortsWithLeft(db)) {
    await db.transaction().execute(async (trx) => {
      if (await lockPushedCohort(trx, cohortId)) await forgetLeft(trx, cohortId, expiresBefore);
    });
  }
  await deleteOldSessions(db, new Date(now - FORGOTTEN_AFTER_MS));
}
