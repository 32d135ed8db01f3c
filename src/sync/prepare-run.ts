import { isListTaken, setExportList } from '../../db/queries/export-list.ts';
import { clearList } from '../../db/queries/list-block.ts';
import { deletePlannedBatches } from '../../db/queries/sync-batch.ts';
import type { ExportRow } from '../../db/tables.ts';
import { compareList } from './compare-list.ts';
import type { SyncDeps } from './deps.ts';
import { type EnsuredList, ensureList, isListThere } from './destination-list.ts';
import { planRun } from './plan-run.ts';
import { type ReadSource, readSource } from './read-source.ts';
import { guardOf } from './removal-guard.ts';
import { hasWork, PROGRESS, type RunExecution, requireAttempt } from './run-execution.ts';

/**
 * Everything before the first change in Iterable: reads, looks after the list and plans. Afterwards the journal has what is
 * to be sent. After an approval the same once more, for the people whose removal was approved.
 */
export async function prepareRun(execution: RunExecution): Promise<void> {
  const { run, scope, destination } = execution;
  // Decided once: what the members are compared with while they come in must not change before the plan.
  // Who is emptied loses everybody, also whom others have put there.
  const isDue = run.purpose === 'EMPTY' || isComparisonDue(execution.deps, scope.export);
  for (let isListKnown = false; ; ) {
    const isReliable = isListKnown || (scope.export.list_id !== null && !isDue);
    const source = run.purpose === 'EMPTY' ? undefined : await read(execution, isReliable);
    try {
      isListKnown = isListKnown || (await checkList(execution, isDue));
      await plan(execution, source);
      // Only now is a request worth it: an unchanged cohort sends nothing.
      const isListGone =
        !isListKnown &&
        (await hasWork(execution)) &&
        !(await isListThere(destination, { listId: scope.export.list_id! }));
      if (!isListGone) break;
      // Who matched the old list was not kept, so everybody is read again.
      await replaceList(execution);
      isListKnown = true;
    } finally {
      await source?.members.close();
    }
  }
  // Not before: a worker that takes the run up here must look for the list again.
  execution.reporter.set({ planned_at: execution.deps.clock.now() });
  await execution.reporter.flush();
  if (run.decision === 'APPROVED') await forgetHeld(execution);
}

/** Whose removal was approved is in the journal by now, or is not to be removed. */
async function forgetHeld(execution: RunExecution): Promise<void> {
  const { deps, run } = execution;
  await deps.db.transaction().execute(async (trx) => {
    await requireAttempt(execution, trx);
    await deletePlannedBatches(trx, run.id, ['HELD']);
  });
}

/** Sees to it that there is a list, and once in a while that it holds whom we think. True when Iterable was asked. */
async function checkList(execution: RunExecution, isDue: boolean): Promise<boolean> {
  const { run, scope, destination } = execution;
  if (scope.export.list_id === null) {
    if (run.purpose === 'SYNC') await adoptList(execution);
    return true;
  }
  if (!isDue) return false;
  const { list_id: listId, list_name: name } = scope.export;
  const isKnown = scope.export.drift_checked_at !== null;
  if (await isListThere(destination, isKnown ? { listId } : { listId, name })) await compareList(execution);
  else await replaceList(execution);
  return true;
}

/** Finds or makes the list; who is on a found one is looked up, so that the plan starts from what is true. */
async function adoptList(execution: RunExecution): Promise<EnsuredList> {
  const { deps, scope, destination } = execution;
  const list = await ensureList(destination, {
    name: scope.export.list_name,
    isTaken: (listId) => isListTaken(deps.db, scope.integration.id, scope.export.id, listId),
  });
  const now = deps.clock.now();
  const comparedAt = list.origin === 'CREATED' ? now : null;
  const createdAt = list.createdAt ?? comparedAt;
  await deps.db.transaction().execute(async (trx) => {
    await requireAttempt(execution, trx);
    await setExportList(trx, scope.export.id, { listId: list.listId, createdAt, comparedAt });
  });
  scope.export.list_id = list.listId;
  scope.export.list_created_at = createdAt;
  if (list.origin === 'FOUND') await compareList(execution);
  return list;
}

async function read({ deps, run, scope, reporter }: RunExecution, isReliable: boolean): Promise<ReadSource> {
  const source = await readSource(deps, {
    scope,
    reliableExportId: isReliable ? run.export_id : undefined,
    signal: reporter.halt,
    retryBudgetMs: deps.env.partnerRetryBudgetMs,
    isRetryable: run.trigger === 'SCHEDULED',
    attempt: reporter.attempt,
    onPhase: (phase) => reporter.set({ phase }),
    waitFor: reporter.waitFor,
    onProgress: (share) => reporter.set({ progress: share * PROGRESS.reading }),
  });
  const { unreadable } = source;
  if (unreadable > 0) {
    reporter.notice({
      code: 'SOURCE_ROWS_SKIPPED',
      message: `Rows of the cohort that were left out, because they have no distinct_id that says whom they name: ${unreadable}.`,
      count: unreadable,
    });
  }
  return source;
}

/** Whether the real list is to be read before a plan is made. Pure but for the clock. */
export function isComparisonDue(
  deps: Pick<SyncDeps, 'env' | 'clock'>,
  exported: Pick<ExportRow, 'drift_checked_at'>,
): boolean {
  const intervalMs = deps.env.driftCheckIntervalMs;
  const comparedAt = exported.drift_checked_at?.getTime();
  // A list that was never compared since it was found or Iterable was connected anew: whatever the setting is.
  if (comparedAt === undefined) return true;
  // So far ahead the comparison was dated by a clock that has been put right since.
  return intervalMs !== undefined && Math.abs(deps.clock.now().getTime() - comparedAt) >= intervalMs;
}

/** The list was deleted in Iterable: nobody is on it any more, and another one takes its place. */
async function replaceList(execution: RunExecution): Promise<void> {
  const { deps, run, scope, reporter } = execution;
  await deps.db.transaction().execute(async (trx) => {
    await requireAttempt(execution, trx);
    await clearList(trx, scope.export.id);
    await setExportList(trx, scope.export.id, { listId: null, createdAt: null, comparedAt: null });
  });
  scope.export.list_id = null;
  if (run.purpose === 'EMPTY') return;
  const { origin } = await adoptList(execution);
  reporter.notice(
    origin === 'CREATED'
      ? {
          code: 'LIST_CREATED_ANEW',
          message: 'The list was no longer there in Iterable; it was made anew and everybody is added again.',
          count: null,
        }
      : {
          code: 'LIST_FOUND_ANEW',
          message:
            'The list was no longer there in Iterable; another list of its name was found and takes its place.',
          count: null,
        },
  );
}

/** Writes the plan, with the numbers that follow from it, in one transaction. */
async function plan(
  { deps, run, scope, reporter }: RunExecution,
  source: ReadSource | undefined,
): Promise<void> {
  reporter.set({ phase: 'PLANNING', progress: PROGRESS.reading });
  await reporter.flush();
  const now = deps.clock.now();
  const counts = await deps.db.transaction().execute(async (trx) => {
    await requireAttempt({ reporter }, trx);
    return await planRun(trx, {
      runId: run.id,
      exportId: run.export_id,
      projectType: scope.integration.project_type!,
      guard: run.purpose === 'SYNC' ? guardOf(scope.integration) : undefined,
      isApproved: run.decision === 'APPROVED',
      includeKept: run.include_kept,
      members: source?.members,
      listed: source?.listed,
      batchSize: deps.env.iterable.batchSize,
      peopleInMemory: deps.env.comparisonMemoryPeople,
      now,
      onProgress: (share) =>
        reporter.set({ progress: PROGRESS.reading + share * (PROGRESS.planning - PROGRESS.reading) }),
    });
  });
  const unchanged = counts.unchanged - counts.addedBefore;
  reporter.set({
    members: counts.members,
    added: counts.addedBefore,
    unchanged,
    rejected: counts.rejected,
    pending_removals: counts.held,
    planned_added: counts.addedBefore,
    planned_unchanged: unchanged,
    planned_rejected: counts.rejected,
    planned_from: counts.plannedFrom,
  });
  await reporter.flush();
}
