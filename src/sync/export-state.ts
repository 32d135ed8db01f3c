import { setTimeout as wait } from 'node:timers/promises';
import { findActiveRun } from '../../db/queries/active-run.ts';
import { setExportList } from '../../db/queries/export-list.ts';
import { lockExport, updateExport } from '../../db/queries/export-state.ts';
import { clearList } from '../../db/queries/list-block.ts';
import { loadRunScope, type RunScope } from '../../db/queries/run-scope.ts';
import { requestCancel } from '../../db/queries/run-state.ts';
import type { ExportRow } from '../../db/tables.ts';
import { CohortSyncError, InvalidStateError } from '../errors.ts';
import { MUTATION_BUDGET_MS } from './connect-iterable.ts';
import type { SyncDeps } from './deps.ts';
import { createIterableClient } from './iterable/client.ts';
import { ConflictError, InvalidListError, IterableError, UnauthorizedError } from './iterable/errors.ts';
import { inTurn } from './iterable-turns.ts';
import { queueRun } from './queue-run.ts';
import { withRetries } from './retry.ts';
import { firstDueAt } from './start-export.ts';

export type ListAction = 'KEEP' | 'EMPTY' | 'DELETE';

/** A running batch finishes first; it takes no longer than a request may. */
const CANCEL_PATIENCE_MS = 30_000;
const CANCEL_POLL_MS = 50;

/** No further runs are started; one that is going goes on. Paused already: nothing happens. */
export async function pauseExport(deps: SyncDeps, exported: ExportRow): Promise<ExportRow> {
  return await deps.db.transaction().execute(async (trx) => {
    const current = await lockExport(trx, exported.id);
    if (current.status === 'PAUSED') return current;
    if (current.status !== 'ACTIVE') throw notActive(current, 'paused');
    return await updateExport(trx, current.id, { status: 'PAUSED', nextRunAt: null });
  });
}

/** Runs are started again, on the same grid as before. Active already: nothing happens. */
export async function resumeExport(deps: SyncDeps, exported: ExportRow): Promise<ExportRow> {
  return await deps.db.transaction().execute(async (trx) => {
    const current = await lockExport(trx, exported.id);
    if (current.status === 'ACTIVE') return current;
    if (current.status !== 'PAUSED') throw notActive(current, 'resumed');
    const { cohort } = await loadRunScope(trx, current.id);
    const nextRunAt = firstDueAt(deps, current, cohort, current.sync_type, deps.clock.now());
    return await updateExport(trx, current.id, { status: 'ACTIVE', nextRunAt });
  });
}

/**
 * Ends an export: its run is cancelled first and waited for. EMPTY queues a run that removes everybody; DELETE deletes
 * the list before it returns, and throws InvalidStateError with nothing changed when Iterable says that it is in use.
 */
export async function stopExport(
  deps: SyncDeps,
  exported: ExportRow,
  { action, actor }: { action: ListAction; actor: string },
): Promise<ExportRow> {
  const scope = await loadRunScope(deps.db, exported.id);
  if (action !== 'KEEP') requireConnected(scope);
  for (;;) {
    await endActiveRun(deps, exported.id, actor);
    const stop = () =>
      deps.db.transaction().execute((trx) => stopIdle({ ...deps, db: trx }, scope, { action, actor }));
    const stopped = action === 'DELETE' ? await inWriteTurn(deps, scope, stop) : await stop();
    if (stopped) return stopped;
  }
}

/** The turn comes before the transaction: whoever waits for one holds no connection and no row. */
async function inWriteTurn<T>(deps: SyncDeps, { integration }: RunScope, act: () => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(MUTATION_BUDGET_MS);
  try {
    return await inTurn(deps.iterableTurns(integration, 'write'), { taker: { turnsTaken: 0 }, signal }, act);
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    throw new CohortSyncError(
      'PARTNER_UNAVAILABLE',
      'Iterable takes no further requests at the moment. Try again in a few minutes.',
      { cause: error },
    );
  }
}

/** Undefined when a run has begun again. deps.db must be a transaction: while it has the row, no run begins. */
async function stopIdle(
  deps: SyncDeps,
  scope: RunScope,
  { action, actor }: { action: ListAction; actor: string },
): Promise<ExportRow | undefined> {
  const current = await lockExport(deps.db, scope.export.id);
  if (await findActiveRun(deps.db, current.id)) return undefined;
  if (action === 'DELETE' && current.list_id !== null) {
    await deleteList(deps, scope, current);
    await clearList(deps.db, current.id);
    await setExportList(deps.db, current.id, { listId: null, createdAt: null, comparedAt: null });
  }
  if (action === 'EMPTY' && current.list_id !== null) {
    await queueRun(deps, {
      exportId: current.id,
      projectId: current.project_id,
      trigger: 'MANUAL',
      purpose: 'EMPTY',
      startedBy: actor,
    });
  }
  return await updateExport(deps.db, current.id, {
    status: 'STOPPED',
    nextRunAt: null,
    ...(action === 'DELETE' ? { listSize: 0, keptCount: 0 } : {}),
  });
}

async function endActiveRun(deps: SyncDeps, exportId: number, actor: string): Promise<void> {
  const giveUpAt = performance.now() + CANCEL_PATIENCE_MS;
  for (;;) {
    const active = await findActiveRun(deps.db, exportId);
    if (!active) return;
    if (performance.now() > giveUpAt) {
      throw new InvalidStateError(
        'The run of this export is still finishing its last batch; try again in a moment.',
      );
    }
    if (active.cancel_requested_at === null) await cancelActive(deps, active.id, actor);
    else await wait(CANCEL_POLL_MS);
  }
}

async function cancelActive(deps: SyncDeps, runId: string, actor: string): Promise<void> {
  await deps.db
    .transaction()
    .execute((trx) => requestCancel(trx, runId, { now: deps.clock.now(), by: actor, cause: 'REQUEST' }));
}

async function deleteList(deps: SyncDeps, { integration }: RunScope, exported: ExportRow): Promise<void> {
  const listId = exported.list_id!;
  const client = createIterableClient({
    baseUrl: deps.env.iterable.baseUrl[integration.data_center!],
    apiKey: deps.secrets.decrypt(integration.api_key!),
  });
  const signal = AbortSignal.timeout(MUTATION_BUDGET_MS);
  try {
    if (exported.drift_checked_at === null) {
      const lists = await withRetries(() => client.listLists({ signal }), {
        budgetMs: MUTATION_BUDGET_MS,
        signal,
      });
      if (
        !lists.some(
          (list) => list.id === listId && list.name === exported.list_name && list.listType === 'Standard',
        )
      )
        return;
    }
    await withRetries(() => client.deleteList(listId, { signal }), { budgetMs: MUTATION_BUDGET_MS, signal });
  } catch (error) {
    if (error instanceof InvalidListError) return;
    if (error instanceof ConflictError) {
      throw new InvalidStateError(
        'Iterable does not delete this list: a campaign or a journey uses it. The export goes on as it was.',
      );
    }
    if (error instanceof UnauthorizedError) {
      throw new CohortSyncError(
        'INSUFFICIENT_PERMISSIONS',
        `Iterable does not let this key delete lists: ${error.message}`,
        {
          cause: error,
        },
      );
    }
    const words = error instanceof IterableError ? error.message : 'no answer in time.';
    if (!(error instanceof IterableError) && !signal.aborted) throw error;
    throw new CohortSyncError('PARTNER_UNAVAILABLE', `Iterable did not delete the list: ${words}`, {
      cause: error,
    });
  }
}

function requireConnected({ integration }: RunScope): void {
  if (integration.api_key === null) {
    throw new CohortSyncError(
      'INTEGRATION_NOT_CONNECTED',
      'Iterable is not connected, so its list cannot be changed. Connect it, or stop with listAction KEEP.',
    );
  }
}

function notActive(exported: ExportRow, wish: string): InvalidStateError {
  const state = exported.status === 'COMPLETED' ? 'complete' : 'stopped';
  return new InvalidStateError(
    `This export is ${state} and cannot be ${wish}. Start it again with startSync.`,
  );
}
