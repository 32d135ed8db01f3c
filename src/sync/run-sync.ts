import type { Logger } from 'pino';
import type { Db } from '../../db/connect.ts';
import { lockPlan, takeUpRun } from '../../db/queries/active-run.ts';
import { isListTaken, setExportList } from '../../db/queries/export-list.ts';
import { clearList, countListBlocks } from '../../db/queries/list-block.ts';
import { clearMixpanelAttention } from '../../db/queries/mixpanel-connection.ts';
import { loadRunScope, type RunScope } from '../../db/queries/run-scope.ts';
import { sumSettledBatches } from '../../db/queries/sync-batch.ts';
import type { SyncRunRow } from '../../db/tables.ts';
import type { CollectedMembers } from './collect-members.ts';
import { compareList } from './compare-list.ts';
import { deliverBatches } from './deliver-batches.ts';
import type { SyncDeps } from './deps.ts';
import { createDestination, type Destination } from './destination.ts';
import { type EnsuredList, ensureList, isListThere } from './destination-list.ts';
import { endOrBreakOff, endRun, postponeRun } from './end-run.ts';
import { foldBlocks } from './fold-blocks.ts';
import { type IdentityRules, idMergeOf, missingIdentityMessage } from './identity.ts';
import { createIterableClient } from './iterable/client.ts';
import { type ListedPeople, loadListedPeople, NOBODY_LISTED, partsFor } from './listed-people.ts';
import { openMemberSource } from './open-member-source.ts';
import { planRun } from './plan-run.ts';
import { readMembers } from './read-members.ts';
import { readPeople } from './read-people.ts';
import { RunCancelled, RunFailure, RunHandedOver, RunPostponed } from './run-outcome.ts';
import { createRunReporter, type RunReporter } from './run-reporter.ts';

/** How a run's time divides, as its progress shows it. */
const PROGRESS = { reading: 0.4, planning: 0.5, finishing: 0.99 };

/** What one execution of a run works with. */
export interface RunExecution {
  deps: SyncDeps;
  run: SyncRunRow;
  scope: RunScope;
  reporter: RunReporter;
  destination: Destination;
  logger: Logger;
}

/**
 * Executes a queued run to its end, or goes on with one whose worker died. The run's row tells the outcome. Throws
 * RunHandedOver when the run is to be taken up again (this process stops, or lost the run), and what the database
 * threw when it cannot be reached: then, too, the run is taken up again. Any number of workers may call it at once.
 */
export async function runSync(deps: SyncDeps, runId: string, stopping: AbortSignal): Promise<void> {
  const run = await takeUpRun(deps.db, runId, deps.clock.now());
  if (!run) return;
  const logger = deps.logger.child({ runId, exportId: run.export_id });
  const scope = await loadRunScope(deps.db, run.export_id);
  const reporter = createRunReporter({
    db: deps.db,
    run,
    stopping,
    onError: (error) => logger.warn({ err: error }, 'could not write the progress of the run'),
  });
  logger.info(
    { trigger: run.trigger, attempt: run.attempt },
    run.attempt === 1 ? 'run started' : 'run taken up',
  );
  const ending = { run, scope, reporter, logger };
  try {
    const destination = openDestination(deps, scope, reporter);
    await execute({ deps, run, scope, reporter, destination, logger });
    await reporter.stop();
    await endRun(deps, ending);
  } catch (error) {
    await reporter.stop();
    const reason = reporter.halt.aborted ? reporter.halt.reason : error;
    if (reason instanceof RunHandedOver) throw reason;
    if (reason instanceof RunPostponed) await postponeRun(deps, ending, reason);
    else await endOrBreakOff(deps, ending, reason);
  }
}

function openDestination(deps: SyncDeps, { integration }: RunScope, reporter: RunReporter): Destination {
  const { iterable, partnerRetryBudgetMs } = deps.env;
  if (integration.api_key === null || integration.data_center === null) {
    throw new RunFailure('INTEGRATION_DISCONNECTED', 'Iterable is not connected any more.', {
      retryable: false,
    });
  }
  return createDestination({
    db: deps.db,
    client: createIterableClient({
      baseUrl: iterable.baseUrl[integration.data_center],
      apiKey: deps.secrets.decrypt(integration.api_key),
    }),
    integrationId: integration.id,
    requestsPerSecond: iterable.requestsPerSecond,
    retryBudgetMs: partnerRetryBudgetMs,
    halt: reporter.halt,
    onRequest: reporter.countRequest,
  });
}

async function execute(execution: RunExecution): Promise<void> {
  const { run, reporter } = execution;
  if (run.cancel_requested_at !== null) throw new RunCancelled('The run was asked to end.');
  if (run.planned_at === null) await prepare(execution);
  else await restoreCounts(execution);
  if (!(await hasWork(execution))) return;
  await deliver(execution);
  reporter.set({ phase: 'FINISHING', progress: PROGRESS.finishing });
  await reporter.flush();
  await execution.deps.db.transaction().execute(async (trx) => {
    await requireAttempt(execution, trx);
    await foldBlocks(trx, run.export_id);
  });
}

/** Everything before the first change in Iterable: afterwards the journal holds what is to be sent. */
async function prepare(execution: RunExecution): Promise<void> {
  const { run, scope, destination } = execution;
  for (let isListKnown = false; ; ) {
    const source = run.purpose === 'EMPTY' ? undefined : await read(execution, isListKnown);
    try {
      isListKnown = isListKnown || (await checkList(execution));
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
}

/** Sees to it that there is a list, and once in a while that it holds whom we think. True when Iterable was asked. */
async function checkList(execution: RunExecution): Promise<boolean> {
  const { run, scope, destination } = execution;
  if (scope.export.list_id === null) {
    if (run.purpose === 'SYNC') await adoptList(execution);
    return true;
  }
  if (!isComparisonDue(execution)) return false;
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
  return intervalMs !== undefined && deps.clock.now().getTime() - comparedAt >= intervalMs;
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

async function read(execution: RunExecution, isListKnown: boolean): Promise<ReadSource> {
  const { deps, run, scope, reporter } = execution;
  const { cohort, integration, mixpanel } = scope;
  const rules: IdentityRules = {
    projectType: integration.project_type!,
    idMerge: idMergeOf(cohort.source, mixpanel?.id_merge),
    userIdFallback: integration.user_id_fallback!,
  };
  const isReliable = isListKnown || (scope.export.list_id !== null && !isComparisonDue(execution));
  const { source, beforeRead, expectedPeople } = openMemberSource(deps, scope);
  const { members, listed } = await readMembers({
    source,
    rules,
    loadListed: () => loadReliable(deps.db, run.export_id, isReliable),
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

async function loadReliable(db: Db, exportId: number, isReliable: boolean) {
  if (!isReliable) return { listed: NOBODY_LISTED, readDistinctIds: async () => new Map<number, null>() };
  const { people } = await countListBlocks(db, exportId);
  const listed = await loadListedPeople(db, exportId, { index: 0, parts: partsFor(people) });
  const readDistinctIds = async (numbers: number[]) => {
    const known = await readPeople(db, listed, numbers);
    return new Map([...known].map(([number, person]) => [number, person.distinctId]));
  };
  return { listed, readDistinctIds };
}

/** Within a transaction: nobody else decides what the run does, and a worker given up for dead is told so. */
async function requireAttempt({ reporter }: Pick<RunExecution, 'reporter'>, trx: Db): Promise<void> {
  if (!(await lockPlan(trx, reporter.attempt)))
    throw new RunHandedOver('Another worker has taken the run up.');
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
      members: source?.members,
      listed: source?.listed,
      batchSize: deps.env.iterable.batchSize,
      now,
      onProgress: (share) =>
        reporter.set({ progress: PROGRESS.reading + share * (PROGRESS.planning - PROGRESS.reading) }),
    });
  });
  reporter.set({
    members: counts.members,
    unchanged: counts.unchanged,
    rejected: counts.rejected,
    planned_unchanged: counts.unchanged,
    planned_rejected: counts.rejected,
  });
  await reporter.flush();
}

/** A worker before us got as far as the journal tells. */
async function restoreCounts({ deps, run, reporter }: RunExecution): Promise<void> {
  const settled = await sumSettledBatches(deps.db, run.id);
  reporter.set({
    added: settled.added,
    removed: settled.removed,
    unchanged: run.planned_unchanged + settled.unchanged,
    rejected: run.planned_rejected + settled.rejected,
  });
  await reporter.flush();
}

async function hasWork({ deps, run }: RunExecution): Promise<boolean> {
  return (await sumSettledBatches(deps.db, run.id)).open > 0;
}

/** All removals are answered before additions start: one person's two changes never overlap. */
async function deliver(execution: RunExecution): Promise<void> {
  const { deps, run, scope, reporter, destination } = execution;
  const { open } = await sumSettledBatches(deps.db, run.id);
  let settled = 0;
  for (const kind of ['REMOVE', 'ADD'] as const) {
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
