import { isListTaken, setExportList } from '../../db/queries/export-list.ts';
import { clearList, countListed } from '../../db/queries/list-block.ts';
import { clearMixpanelAttention } from '../../db/queries/mixpanel-connection.ts';
import { deletePlannedBatches } from '../../db/queries/sync-batch.ts';
import type { CollectedMembers } from './collect-members.ts';
import { compareList } from './compare-list.ts';
import type { SyncDeps } from './deps.ts';
import { type EnsuredList, ensureList, isListThere } from './destination-list.ts';
import { type IdentityRules, idMergeOf, missingIdentityMessage } from './identity.ts';
import { type ListedPeople, loadListedPeople, NOBODY_LISTED, partsFor } from './listed-people.ts';
import { openMemberSource } from './open-member-source.ts';
import { planRun } from './plan-run.ts';
import { readMembers } from './read-members.ts';
import { readPeople } from './read-people.ts';
import { guardOf } from './removal-guard.ts';
import { hasWork, PROGRESS, type RunExecution, requireAttempt } from './run-execution.ts';
import { RunFailure } from './run-outcome.ts';

/**
 * Everything before the first change in Iterable: reads, looks after the list and plans. Afterwards the journal has what is
 * to be sent. After an approval the same once more, for the people whose removal was approved.
 */
export async function prepareRun(execution: RunExecution): Promise<void> {
  const { run, scope, destination } = execution;
  // Decided once: what the members are compared with while they come in must not change before the plan.
  const isDue = isComparisonDue(execution);
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

function isComparisonDue({ deps, run, scope }: RunExecution): boolean {
  // Everybody is to leave, also whom others have put there.
  if (run.purpose === 'EMPTY') return true;
  const intervalMs = deps.env.driftCheckIntervalMs;
  const comparedAt = scope.export.drift_checked_at?.getTime();
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
      ? 'The list was no longer there in Iterable; it was made anew and everybody is added again.'
      : 'The list was no longer there in Iterable; another list of its name was found and takes its place.',
  );
}

interface ReadSource {
  members: CollectedMembers;
  /** Whom they were compared with while they came in; undefined: what we know of the list was not to be relied on yet. */
  listed: ListedPeople | undefined;
}

async function read({ deps, run, scope, reporter }: RunExecution, isReliable: boolean): Promise<ReadSource> {
  const { cohort, integration, mixpanel } = scope;
  const rules: IdentityRules = {
    projectType: integration.project_type!,
    idMerge: idMergeOf(cohort.source, mixpanel?.id_merge),
    userIdFallback: integration.user_id_fallback!,
  };
  const { source, beforeRead, expectedPeople } = openMemberSource(deps, scope);
  const { members, listed } = await readMembers({
    source,
    rules,
    loadListed: () => loadReliable(deps, run.export_id, isReliable),
    expectedPeople,
    signal: reporter.halt,
    beforeRead: async () => {
      await beforeRead();
      reporter.set({ phase: 'READING' });
    },
    onProgress: (share) => reporter.set({ progress: share * PROGRESS.reading }),
  });
  if (mixpanel && cohort.source === 'MIXPANEL') await clearMixpanelAttention(deps.db, mixpanel.id);
  if (members.unique > 0 && members.withIdentity === 0) {
    await members.close();
    throw new RunFailure('NO_MEMBER_HAS_IDENTITY', missingIdentityMessage(rules, cohort.source), {
      retryable: run.trigger === 'SCHEDULED',
    });
  }
  return { members, listed: isReliable ? listed : undefined };
}

async function loadReliable({ db, env }: SyncDeps, exportId: number, isReliable: boolean) {
  if (!isReliable) return { listed: NOBODY_LISTED, readDistinctIds: async () => new Map<number, null>() };
  const people = await countListed(db, exportId);
  const listed = await loadListedPeople(db, exportId, {
    index: 0,
    parts: partsFor(people, env.comparisonMemoryPeople),
  });
  const readDistinctIds = async (numbers: number[]) => {
    const known = await readPeople(db, listed, numbers);
    return new Map([...known].map(([number, person]) => [number, person.distinctId]));
  };
  return { listed, readDistinctIds };
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
