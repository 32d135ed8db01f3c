import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import type { RunNotice } from '../../db/json-columns.ts';
import { readRunSignals } from '../../db/queries/active-run.ts';
import { closeExportRun, setListCompared } from '../../db/queries/export-list.ts';
import { updateExport } from '../../db/queries/export-state.ts';
import { countHeldRemovals, countStaying, type Staying } from '../../db/queries/held-batch.ts';
import { setIntegrationAttention } from '../../db/queries/integration-state.ts';
import { countListed, deleteSpentBlocks, MARKS } from '../../db/queries/list-block.ts';
import { setMixpanelAttention } from '../../db/queries/mixpanel-connection.ts';
import { loadRunScope, type RunScope } from '../../db/queries/run-scope.ts';
import { findCancelCause, finishRun, holdRun, parkRun, type RunEnd } from '../../db/queries/run-state.ts';
import {
  deletePlannedBatches,
  listUnansweredBatches,
  markBatchUnanswered,
  NOTES,
} from '../../db/queries/sync-batch.ts';
import type { IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import { changePlaces, liveBits } from './change-places.ts';
import { isDatabaseError } from './database-error.ts';
import type { SyncDeps } from './deps.ts';
import type { Place } from './listed-people.ts';
import { decodePlace } from './people-block.ts';
import { queueRun } from './queue-run.ts';
import { RunCancelled, RunFailure, RunHandedOver, type RunPostponed, RunTakenUp } from './run-outcome.ts';
import type { RunReporter } from './run-reporter.ts';
import { SourceError } from './sources/source.ts';

interface EndingRun {
  run: SyncRunRow;
  /** As it was when this attempt began. */
  scope: RunScope;
  reporter: RunReporter;
  logger: Logger;
}

/**
 * Ends a run: its row, its export, its journal and the follow-up that was asked for, in one transaction. reason is
 * what stopped it; undefined for success. Throws what the database threw, and RunHandedOver when the run is not ours.
 */
export async function endRun(deps: SyncDeps, ending: EndingRun, reason?: unknown): Promise<void> {
  if (isDatabaseError(reason)) throw reason;
  const { run, scope, reporter, logger } = ending;
  const now = deps.clock.now();
  const end = await deps.db.transaction().execute(async (trx) => {
    const isDisconnected = (await findCancelCause(trx, run.id)) === 'DISCONNECT';
    const outcome = outcomeOf(reason, isDisconnected, ending);
    // Connections before exports before runs: disconnecting locks in this order too.
    if (outcome.error?.code === 'DESTINATION_UNAUTHORIZED') {
      await setIntegrationAttention(trx, scope.integration, outcome.error.message);
    }
    if (outcome.error?.code === 'SOURCE_UNAUTHORIZED') {
      await setMixpanelAttention(trx, run.project_id, outcome.error.message);
    }
    if (outcome.status === 'FAILED' || outcome.status === 'CANCELLED') {
      await recordUnanswered(trx, run, now);
    }
    await deletePlannedBatches(trx, run.id);
    // Connected anew meanwhile: what this run knows of the list may be of another Iterable project.
    const { integration } = await loadRunScope(trx, run.export_id);
    if (isOtherProject(integration, scope.integration)) await setListCompared(trx, run.export_id, null);
    // Counting a list of millions takes its time, and most runs change nothing.
    const isSizeKnown = reason === undefined && reporter.current.requests_sent === 0;
    const staying = await countStaying(trx, run.export_id);
    if (reason === undefined) for (const notice of noticesOfStaying(staying)) reporter.notice(notice);
    if (!isSizeKnown) await deleteSpentBlocks(trx, run.export_id);
    const { followUp } = await closeExportRun(trx, run.export_id, {
      ...(isSizeKnown ? {} : { listSize: await countListed(trx, run.export_id) }),
      keptCount: staying.kept,
    });
    const isDiscarded = run.decision === 'DISCARDED';
    const finished = await finishRun(trx, reporter.attempt, {
      ...outcome,
      finishedAt: now,
      changes: isDiscarded ? reporter.current : { ...reporter.current, pending_removals: 0 },
    });
    if (!finished) throw new RunTakenUp();
    if (followUp)
      await queueRun(
        { ...deps, db: trx },
        { exportId: run.export_id, projectId: run.project_id, trigger: 'PUSH' },
      );
    return outcome;
  });
  const fields = { status: end.status, ...reporter.current, ...(end.error ? { error: end.error } : {}) };
  if (end.error?.code === 'INTERNAL')
    logger.error({ ...fields, err: reason }, 'run failed by a fault of ours');
  else logger.info(fields, 'run ended');
}

/**
 * The same, and when even that fails by a fault of ours the run ends without it, because it would be tried for ever. What
 * it left in doubt is settled by the next run, which looks at the real list.
 */
export async function endOrBreakOff(deps: SyncDeps, ending: EndingRun, reason: unknown): Promise<void> {
  try {
    await endRun(deps, ending, reason);
  } catch (error) {
    if (error instanceof RunHandedOver || isDatabaseError(error)) throw error;
    const { run, reporter, logger } = ending;
    logger.error({ err: error, reason }, 'run could not be ended in good order, by a fault of ours');
    await deps.db.transaction().execute(async (trx) => {
      await closeExportRun(trx, run.export_id, {});
      await setListCompared(trx, run.export_id, null);
      const end = { ...failedByFault(), finishedAt: deps.clock.now(), changes: {} };
      if (!(await finishRun(trx, reporter.attempt, end))) {
        throw new RunTakenUp();
      }
    });
  }
}

/** All that may be done without an approval is done. The export shows how long the list is now. */
export async function awaitApproval(deps: SyncDeps, { run, reporter, logger }: EndingRun): Promise<void> {
  const pending = await deps.db.transaction().execute(async (trx) => {
    const listSize = await countListed(trx, run.export_id);
    const { kept } = await countStaying(trx, run.export_id);
    await updateExport(trx, run.export_id, { listSize, keptCount: kept });
    const pending = await countHeldRemovals(trx, run.id);
    reporter.notice({
      code: 'OTHER',
      message: `The removal of ${pending} of the ${listSize} people on the list was held: it is more than the removal guard allows without approval.`,
      count: pending,
    });
    if (await holdRun(trx, reporter.attempt, { ...reporter.current, pending_removals: pending }))
      return pending;
    const isOurs = await readRunSignals(trx, reporter.attempt);
    throw isOurs ? new RunCancelled('The run was asked to end.') : new RunTakenUp();
  });
  logger.warn({ pending }, 'the removals of the run wait for approval');
}

/** The run waits until the scheduler sees that there is a query for it. Its job ends with it: it gets another one then. */
export async function postponeRun(
  deps: SyncDeps,
  { reporter, logger }: EndingRun,
  { jobId, reason }: { jobId: string; reason: RunPostponed },
): Promise<void> {
  await deps.db.transaction().execute(async (trx) => {
    const until = new Date(deps.clock.now().getTime() + reason.retryAfterMs);
    if (!(await parkRun(trx, reporter.attempt, until)))
      throw new RunHandedOver('Another worker has taken the run up, or somebody asked for its end.');
    await deps.jobs.endJob(trx, jobId);
  });
  logger.info({ retryAfterMs: reason.retryAfterMs, reason: reason.message }, 'run postponed');
}

/** Whoever looks at the list sees more people than the cohort has. */
function noticesOfStaying({ kept, refused }: Staying): RunNotice[] {
  const stay = (people: number) => (people === 1 ? '1 person stays' : `${people} people stay`);
  return [
    ...(kept > 0
      ? [
          {
            code: 'PEOPLE_KEPT' as const,
            message: `${stay(kept)} on the list without being in the cohort, because the removal was discarded.`,
            count: kept,
          },
        ]
      : []),
    ...(refused > 0
      ? [
          {
            code: 'REMOVALS_REFUSED' as const,
            message: `${stay(refused)} on the list without being in the cohort, because Iterable refuses the removal.`,
            count: refused,
          },
        ]
      : []),
  ];
}

function isOtherProject(now: IntegrationRow, before: IntegrationRow): boolean {
  if (now.api_key === before.api_key) return false;
  return now.partner_project_id === null || now.partner_project_id !== before.partner_project_id;
}

function outcomeOf(
  reason: unknown,
  isDisconnected: boolean,
  { run, reporter }: EndingRun,
): Pick<RunEnd, 'status' | 'error'> {
  if (reason === undefined) {
    const isPartial = (reporter.current.rejected ?? 0) > 0 || run.decision === 'DISCARDED';
    return { status: isPartial ? 'PARTIALLY_SUCCEEDED' : 'SUCCEEDED' };
  }
  if (isDisconnected) {
    return failed('INTEGRATION_DISCONNECTED', 'Iterable was disconnected while the run was going.', false);
  }
  if (reason instanceof RunCancelled) return { status: 'CANCELLED' };
  if (reason instanceof RunFailure || reason instanceof SourceError) {
    return failed(reason.code, reason.message, reason.retryable);
  }
  return failedByFault();
}

function failedByFault() {
  return failed('INTERNAL', 'The run failed by a fault of ours; the log tells more under its run id.', true);
}

function failed(code: NonNullable<RunEnd['error']>['code'], message: string, retryable: boolean) {
  return { status: 'FAILED' as const, error: { code, message, retryable } };
}

/** What was sent and never answered may have been done or not: the next run asks for it again. */
async function recordUnanswered(db: Db, run: SyncRunRow, now: Date): Promise<void> {
  for (const { id, kind, size, notes, places } of await listUnansweredBatches(db, run.id)) {
    const known: Place[] = [];
    const isKnown = new Set<number>();
    for (let index = 0; index < size; index++) {
      const place = decodePlace(places, index);
      if (!place) continue;
      isKnown.add(index);
      // On the list whatever became of the change of their profile, which the next run sends again.
      if (notes?.[index] !== NOTES.resent) known.push(place);
    }
    const { live, liveCount } = liveBits(size, (index) => kind === 'REMOVE' || isKnown.has(index));
    const marks = liveCount === 0 ? null : Buffer.alloc(size, MARKS.uncertain);
    await markBatchUnanswered(db, id, { live, liveCount, marks, at: now });
    await changePlaces(
      db,
      known.map((place) => ({ place, change: { set: MARKS.uncertain } })),
    );
  }
}
