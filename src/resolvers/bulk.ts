import type { ExportRow, SyncRunRow } from '../../db/tables.ts';
import type { SyncType } from '../../db/values.ts';
import { CohortSyncError, type ErrorCode, SyncAlreadyRunningError } from '../errors.ts';
import { busyErrorOf } from '../sync/database-error.ts';

/** Items of one operation. */
export const MAX_ITEMS = 100;

export interface OperationError {
  code: ErrorCode;
  message: string;
  /** The run that stands in the way. */
  runId: string | undefined;
}

/** What became of one item: what was wanted, or why not. A fault of ours is an error of the answer, in the item's place. */
export interface ItemResult<T> {
  done?: T;
  error?: OperationError;
  fault?: unknown;
}

/** Null when there is an error; throws the fault. */
export function outcomeOf<T>({ done, fault }: ItemResult<T>): T | undefined {
  if (fault !== undefined) throw fault;
  return done;
}

export interface SyncStart extends ItemResult<SyncRunRow> {
  cohortId: string;
}

export interface ExportChange extends ItemResult<ExportRow> {
  exportId: string;
}

export interface StartSyncInput {
  cohortId: string;
  provider: 'ITERABLE';
  syncType: SyncType;
}

/** One after the other, each in a transaction of its own: none is held up or undone for another. */
export async function startEach(
  inputs: readonly StartSyncInput[],
  start: (input: StartSyncInput) => Promise<SyncRunRow>,
): Promise<SyncStart[]> {
  const results: SyncStart[] = [];
  for (const input of inputs) {
    results.push({ cohortId: input.cohortId, ...(await attempt(() => start(input))) });
  }
  return results;
}

/** The same for exports. */
export async function changeEach(
  exportIds: readonly string[],
  change: (exportId: string) => Promise<ExportRow>,
): Promise<ExportChange[]> {
  const results: ExportChange[] = [];
  for (const exportId of exportIds) {
    results.push({ exportId, ...(await attempt(() => change(exportId))) });
  }
  return results;
}

async function attempt<T>(act: () => Promise<T>): Promise<ItemResult<T>> {
  try {
    return { done: await act() };
  } catch (thrown) {
    const error = busyErrorOf(thrown) ?? thrown;
    if (!(error instanceof CohortSyncError)) return { fault: error };
    const runId = error instanceof SyncAlreadyRunningError ? error.runId : undefined;
    return { error: { code: error.code, message: error.message, runId } };
  }
}
