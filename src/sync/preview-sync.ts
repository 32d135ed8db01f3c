import type { Db } from '../../db/connect.ts';
import { findActiveRun, insertDiscardedRun } from '../../db/queries/active-run.ts';
import { isListTaken } from '../../db/queries/export-list.ts';
import { findExportOf, lockOrInsertExport } from '../../db/queries/export-state.ts';
import { clearList } from '../../db/queries/list-block.ts';
import { countBatches } from '../../db/queries/sync-batch.ts';
import type { CohortRow, ExportRow, IntegrationRow, MixpanelConnectionRow } from '../../db/tables.ts';
import type { RejectionReason } from '../../db/values.ts';
import { SyncAlreadyRunningError } from '../errors.ts';
import { compareWithReal } from './compare-list.ts';
import { MUTATION_BUDGET_MS } from './connect-iterable.ts';
import type { SyncDeps } from './deps.ts';
import type { Destination } from './destination.ts';
import { findList, isListThere } from './destination-list.ts';
import { listNameFor } from './list-name.ts';
import { openDestination } from './open-destination.ts';
import { type PlannedCounts, planRun } from './plan-run.ts';
import { isComparisonDue } from './prepare-run.ts';
import { explainPreviewError } from './preview-error.ts';
import { type ReadSource, readSource } from './read-source.ts';
import { type RealList, readRealList } from './real-list.ts';
import { guardOf } from './removal-guard.ts';
import { requireExportable, requireListFree } from './start-export.ts';

export interface SyncPreview {
  members: number;
  toAdd: number;
  toRemove: number;
  unchanged: number;
  rejected: number;
  rejectedByReason: { reason: RejectionReason; count: number }[];
  wouldBeHeld: boolean;
  estimatedRequests: number;
  estimatedSeconds: number;
}

export interface WantedPreview {
  cohort: CohortRow;
  integration: IntegrationRow;
  mixpanel: MixpanelConnectionRow | undefined;
}

/**
 * What a run that is started now would do. The cohort and, where a run would, the list are read; the plan is made in a
 * transaction that is rolled back, by the very code that plans a run. Throws CohortSyncError: what startSync would throw,
 * and what the partners have against it.
 */
export async function previewSync(deps: SyncDeps, wanted: WantedPreview): Promise<SyncPreview> {
  const { cohort, integration } = wanted;
  requireExportable(cohort);
  const exported = await findExportOf(deps.db, cohort.id, integration.id);
  const active = exported && (await findActiveRun(deps.db, exported.id));
  if (active) throw new SyncAlreadyRunningError(active);
  const listName = exported?.list_id ? exported.list_name : listNameFor(cohort.name, cohort.external_id);
  await requireListFree(deps.db, integration.id, exported?.id, listName);
  try {
    return await preview(deps, wanted, exported, listName);
  } catch (error) {
    throw await explainPreviewError(deps, integration, error);
  }
}

async function preview(
  deps: SyncDeps,
  wanted: WantedPreview,
  exported: ExportRow | undefined,
  listName: string,
): Promise<SyncPreview> {
  // A preview ends with its mutation; nobody can ask for it to end before.
  const { signal } = new AbortController();
  let asked = 0;
  const destination = openDestination(deps, wanted.integration, {
    retryBudgetMs: MUTATION_BUDGET_MS,
    halt: signal,
    onRequest: () => asked++,
  });
  const startedAt = performance.now();
  const planFor = (list: ListLookup) => readAndPlan(deps, wanted, { exported, listName, list, signal });
  const isReliable = exported !== undefined && exported.list_id !== null && !isComparisonDue(deps, exported);
  const look = (listId: string | null) =>
    lookUpList(deps, destination, wanted, { exported, listName, listId, signal });
  let list: ListLookup = isReliable ? { state: 'AS WE KNOW IT' } : await look(exported?.list_id ?? null);
  let plan = await planFor(list);
  if (isReliable && plan.batches > 0 && !(await isListThere(destination, { listId: exported.list_id! }))) {
    // As a run would: only when there is something to be sent it is found out that the list is gone.
    list = await look(null);
    plan = await planFor(list);
  }
  const readSeconds = (performance.now() - startedAt) / 1000;
  const requests = plan.batches + asked + (list.state === 'TO BE MADE' ? 1 : 0);
  return {
    ...toPreview(plan.counts),
    estimatedRequests: requests,
    estimatedSeconds: Math.round(10 * (readSeconds + secondsFor(deps, requests))) / 10,
  };
}

/** The list as a run would find it. COMPARED: it was read, because what we know of it may not be true, or is of another list. */
type ListLookup =
  | { state: 'AS WE KNOW IT' }
  | { state: 'TO BE MADE' }
  | { state: 'COMPARED'; real: RealList; isOther: boolean };

async function lookUpList(
  deps: SyncDeps,
  destination: Destination,
  { integration }: WantedPreview,
  wanted: { exported: ExportRow | undefined; listName: string; listId: string | null; signal: AbortSignal },
): Promise<ListLookup> {
  const { exported, listName: name, signal } = wanted;
  let { listId } = wanted;
  if (listId !== null) {
    const isKnown = exported?.drift_checked_at != null;
    if (!(await isListThere(destination, isKnown ? { listId } : { listId, name }))) listId = null;
  }
  if (listId === null) {
    const isTaken = (id: string) => isListTaken(deps.db, integration.id, exported?.id ?? 0, id);
    const found = await findList(destination, { name, isTaken });
    if (!found) return { state: 'TO BE MADE' };
    listId = found.listId;
  }
  const real = await readRealList(destination, {
    projectType: integration.project_type!,
    listId,
    expectedPeople: exported?.list_size ?? 0,
    signal,
  });
  const isOther = exported?.list_id != null && listId !== exported.list_id;
  return { state: 'COMPARED', real, isOther };
}

interface PreviewPlan {
  exported: ExportRow | undefined;
  listName: string;
  list: ListLookup;
  signal: AbortSignal;
}

async function readAndPlan(deps: SyncDeps, wanted: WantedPreview, plan: PreviewPlan) {
  const { list, exported } = plan;
  let source: ReadSource | undefined;
  try {
    source = await readSource(deps, {
      scope: wanted,
      reliableExportId: list.state === 'AS WE KNOW IT' ? exported!.id : undefined,
      signal: plan.signal,
      retryBudgetMs: MUTATION_BUDGET_MS,
      isRetryable: false,
      attempt: undefined,
      onPhase: () => undefined,
      waitFor: undefined,
      onProgress: () => undefined,
    });
    return await planAndDiscard(deps, wanted, plan, source);
  } finally {
    await source?.members.close();
    if (list.state === 'COMPARED') await list.real.close();
  }
}

async function planAndDiscard(
  deps: SyncDeps,
  { cohort, integration }: WantedPreview,
  { exported, listName, list }: PreviewPlan,
  source: ReadSource,
): Promise<{ counts: PlannedCounts; batches: number }> {
  const now = deps.clock.now();
  return await discard(deps.db, async (trx) => {
    const { id: exportId } =
      exported ??
      (await lockOrInsertExport(trx, {
        projectId: cohort.project_id,
        cohortId: cohort.id,
        integrationId: integration.id,
        syncType: 'ONE_TIME',
        listName,
        now,
      }));
    // Of a list that is gone nobody is left.
    if (list.state === 'TO BE MADE' || (list.state === 'COMPARED' && list.isOther))
      await clearList(trx, exportId);
    if (list.state === 'COMPARED') await compareWithReal({ ...deps, db: trx }, exportId, list.real);
    const runId = await insertDiscardedRun(trx, { projectId: cohort.project_id, exportId, now });
    const counts = await planRun(trx, {
      runId,
      exportId,
      projectType: integration.project_type!,
      guard: guardOf(integration),
      isApproved: false,
      includeKept: false,
      members: source.members,
      listed: source.listed,
      batchSize: deps.env.iterable.batchSize,
      peopleInMemory: deps.env.comparisonMemoryPeople,
      now,
      onProgress: () => undefined,
    });
    return { counts, batches: await countBatches(trx, runId) };
  });
}

/** Nothing that is written stays. */
async function discard<Result>(db: Db, work: (trx: Db) => Promise<Result>): Promise<Result> {
  const trx = await db.startTransaction().execute();
  try {
    return await work(trx);
  } finally {
    await trx.rollback().execute();
  }
}

function toPreview(counts: PlannedCounts): Omit<SyncPreview, 'estimatedRequests' | 'estimatedSeconds'> {
  return {
    members: counts.members,
    toAdd: counts.toSend - counts.toResend,
    toRemove: counts.toRemove,
    unchanged: counts.unchanged + counts.toResend,
    rejected: counts.rejected,
    rejectedByReason: [...counts.rejectedByReason].map(([reason, count]) => ({ reason, count })),
    wouldBeHeld: counts.held > 0,
  };
}

/** At the pace that was agreed; without one, at some five requests a second for each that may be on its way. */
function secondsFor({ env }: SyncDeps, requests: number): number {
  const { requestsPerSecond, concurrency } = env.iterable;
  return requests / (requestsPerSecond || 5 * concurrency);
}
