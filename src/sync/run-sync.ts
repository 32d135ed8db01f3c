import { takeUpRun } from '../../db/queries/active-run.ts';
import { hasOpenRejections } from '../../db/queries/rejection.ts';
import { loadRunScope } from '../../db/queries/run-scope.ts';
import { sumBatches } from '../../db/queries/sync-batch.ts';
import type { BatchKind, IterableProjectType } from '../../db/values.ts';
import { keepHeld } from './decide-removals.ts';
import { deliverBatches } from './deliver-batches.ts';
import type { SyncDeps } from './deps.ts';
import { awaitApproval, endOrBreakOff, endRun, postponeRun } from './end-run.ts';
import { foldBlocks } from './fold-blocks.ts';
import { considerFullDisk } from './full-disk.ts';
import { openDestination } from './open-destination.ts';
import { prepareRun } from './prepare-run.ts';
import { hasWork, PROGRESS, type RunExecution, requireAttempt } from './run-execution.ts';
import { RunCancelled, RunFailure, RunHandedOver, RunPostponed } from './run-outcome.ts';
import { createRunReporter } from './run-reporter.ts';

/**
 * Removals free their places first. Where a project is connected as hybrid, additions show whether it is one: an e-mail-based
 * project does not know their userIds, and then nobody may have been removed yet.
 */
const ORDER: Record<IterableProjectType, readonly BatchKind[]> = {
  EMAIL: ['REMOVE', 'ADD'],
  USER_ID: ['REMOVE', 'ADD'],
  HYBRID: ['ADD', 'REMOVE'],
};

/**
 * Executes a queued run to its end or to where it waits for approval, or goes on with one whose worker died. The run's row tells the outcome. Throws
 * RunHandedOver when the run is to be taken up again (this process stops, or lost the run), and what the database
 * threw when it cannot be reached: then, too, the run is taken up again. Any number of workers may call it at once.
 */
export async function runSync(
  deps: SyncDeps,
  { runId, jobId }: { runId: string; jobId: string },
  stopping: AbortSignal,
): Promise<void> {
  const run = await takeUpRun(deps.db, runId, deps.clock.now());
  if (!run) return;
  const logger = deps.logger.child({ runId, exportId: run.export_id });
  const scope = await loadRunScope(deps.db, run.export_id);
  const reporter = createRunReporter({
    db: deps.db,
    run,
    clock: deps.clock,
    stopping,
    onError: (error) => {
      // A run whose batch is not answered before the process is gone goes on without a database.
      if (!stopping.aborted) logger.warn({ err: error }, 'could not write the progress of the run');
    },
  });
  logger.info(
    { trigger: run.trigger, attempt: run.attempt },
    run.attempt === 1 ? 'run started' : 'run taken up',
  );
  const ending = { run, scope, reporter, logger };
  try {
    const seat = deps.seats.open(run.project_id, reporter.halt);
    const destination = openDestination(deps, scope.integration, {
      retryBudgetMs: deps.env.partnerRetryBudgetMs,
      halt: reporter.halt,
      seat,
      onRequest: reporter.countRequest,
      waitFor: reporter.waitFor,
    });
    const result = await execute({ deps, run, scope, reporter, destination, seat, logger });
    await reporter.stop();
    if (result === 'HELD') await awaitApproval(deps, ending);
    else await endRun(deps, ending);
  } catch (error) {
    const met = await considerFullDisk(run, reporter, error);
    await reporter.stop();
    const reason = reporter.halt.aborted ? reporter.halt.reason : met;
    if (reason instanceof RunHandedOver) throw reason;
    if (reason instanceof RunPostponed) await postponeRun(deps, ending, { jobId, reason });
    else await endOrBreakOff(deps, ending, reason);
  }
}

async function execute(execution: RunExecution): Promise<'DONE' | 'HELD'> {
  const { run, reporter } = execution;
  if (run.cancel_requested_at !== null) throw new RunCancelled('The run was asked to end.');
  if (run.planned_at === null) await execution.seat.hold(() => prepareRun(execution));
  else await goOn(execution);
  const isWorking = await hasWork(execution);
  if (isWorking) await deliver(execution);
  // Counted anew: a worker before us, given up for dead, may have settled a batch meanwhile.
  if ((await countSettled(execution)).held > 0) return 'HELD';
  if (!isWorking) return 'DONE';
  reporter.set({ phase: 'FINISHING', progress: PROGRESS.finishing });
  await reporter.flush();
  await execution.deps.db.transaction().execute(async (trx) => {
    await requireAttempt(execution, trx);
    await foldBlocks(trx, run.export_id);
  });
  return 'DONE';
}

/** The run was planned before: its worker died, or somebody has decided about the removals that it held. */
async function goOn(execution: RunExecution): Promise<void> {
  const { run, scope, reporter } = execution;
  const { open, held } = await countSettled(execution);
  await reporter.flush();
  if (held > 0 && run.decision === 'APPROVED') {
    return await execution.seat.hold(() => prepareRun(execution));
  }
  if (open + held > 0 && scope.export.drift_checked_at === null) {
    throw new RunFailure(
      'DESTINATION_LIST_GONE',
      'Iterable was connected anew while the run waited, maybe to another project, so what it had planned is not sent. The next run looks for the list and starts anew.',
      { retryable: true },
    );
  }
  if (held > 0 && run.decision === 'DISCARDED') await keepHeld(execution);
}

/** The run's counts as the journal tells them, whoever has settled its batches. Gives what it adds up to. */
async function countSettled({ deps, run, reporter }: RunExecution): ReturnType<typeof sumBatches> {
  const planned = { ...run, ...reporter.current };
  const sums = await sumBatches(deps.db, run.id, planned.planned_from);
  reporter.set({
    added: planned.planned_added + sums.added,
    removed: sums.removed,
    unchanged: planned.planned_unchanged + sums.unchanged,
    rejected: planned.planned_rejected + sums.rejected,
  });
  return sums;
}

/** All removals are answered before additions start: one person's two changes never overlap. */
async function deliver(execution: RunExecution): Promise<void> {
  const { deps, run, scope, reporter, destination } = execution;
  const { open } = await sumBatches(deps.db, run.id, run.planned_from);
  const hasRejections = await hasOpenRejections(deps.db, run.export_id);
  let settled = 0;
  for (const kind of ORDER[scope.integration.project_type!]) {
    reporter.set({ phase: kind === 'REMOVE' ? 'REMOVING' : 'ADDING' });
    await deliverBatches(
      {
        db: deps.db,
        destination,
        reporter,
        projectType: scope.integration.project_type!,
        context: {
          runId: run.id,
          exportId: run.export_id,
          rejectedRetryIntervalMs: deps.env.rejectedRetryIntervalMs,
          hasRejections,
        },
        now: () => deps.clock.now(),
        listId: scope.export.list_id!,
        listCreatedAt: scope.export.list_created_at,
        concurrency: deps.env.iterable.concurrency,
        onSettled: (people) => {
          settled += people;
          const share = settled / open;
          reporter.set({ progress: PROGRESS.planning + share * (PROGRESS.finishing - PROGRESS.planning) });
        },
      },
      kind,
    );
  }
}
