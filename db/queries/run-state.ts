import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SyncRunRow } from '../tables.ts';
import type { CancelCause, FinishedRunStatus, RemovalDecision, SyncErrorCode } from '../values.ts';
import type { RunAttempt, RunChanges } from './active-run.ts';
import { deletePlannedBatches } from './sync-batch.ts';

/** Nobody executes it any more, so nobody waits for anything. */
const NO_WAIT = { wait_reason: null, wait_until: null };

export interface RunError {
  code: SyncErrorCode;
  message: string;
  retryable: boolean;
}

export interface RunEnd {
  status: FinishedRunStatus;
  finishedAt: Date;
  error?: RunError;
  changes: RunChanges;
}

/** False when the run is no longer this attempt's. */
export async function finishRun(db: Db, { runId, attempt }: RunAttempt, end: RunEnd): Promise<boolean> {
  const succeeded = end.status === 'SUCCEEDED' || end.status === 'PARTIALLY_SUCCEEDED';
  const { progress: _, ...changes } = end.changes;
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set({
      ...changes,
      ...(succeeded ? { progress: 1 } : {}),
      status: end.status,
      phase: 'DONE',
      ...NO_WAIT,
      finished_at: end.finishedAt,
      error_code: end.error?.code ?? null,
      error_message: end.error?.message ?? null,
      error_retryable: end.error?.retryable ?? null,
    })
    .where('id', '=', runId)
    .where('attempt', '=', attempt)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** The run waits for a decision about its removals. False when it is no longer ours, or is asked to end. */
export async function holdRun(db: Db, attempt: RunAttempt, changes: RunChanges): Promise<boolean> {
  const { progress: _, ...plain } = changes;
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set({ ...plain, ...NO_WAIT, status: 'AWAITING_APPROVAL', phase: 'WAITING' })
    .where('id', '=', attempt.runId)
    .where('cancel_requested_at', 'is', null)
    .where('attempt', '=', attempt.attempt)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/** A held run is to go on as it was decided. Undefined when it is not held. */
export async function decideRun(
  db: Db,
  runId: string,
  decision: RemovalDecision,
): Promise<SyncRunRow | undefined> {
  return db
    .updateTable('sync_runs')
    .set({
      status: 'QUEUED',
      decision,
      // Those who were approved wait no longer; those who were discarded are told of for good.
      ...(decision === 'APPROVED' ? { pending_removals: 0 } : {}),
    })
    .where('id', '=', runId)
    .where('status', '=', 'AWAITING_APPROVAL')
    .returningAll()
    .executeTakeFirst();
}

/**
 * The run waits for a query to Mixpanel, until then by all that is known, without a job until callParkedRuns gives it to the caller to be queued. False
 * when it is no longer ours, or is asked to end.
 */
export async function parkRun(db: Db, { runId, attempt }: RunAttempt, until: Date): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('sync_runs')
    .set({
      status: 'QUEUED',
      phase: 'WAITING',
      query_turn: 'PARKED',
      wait_reason: 'QUERY_QUOTA',
      wait_until: until,
    })
    .where('id', '=', runId)
    .where('cancel_requested_at', 'is', null)
    .where('attempt', '=', attempt)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * A run that waits in the queue or for approval ends at once, without what it has not sent; a running one is asked to end.
 * Who asks first stays, with the cause. by: the name of the token. Undefined when the run was over. Within a transaction.
 */
export async function requestCancel(
  db: Db,
  runId: string,
  request: { now: Date; by: string; cause: CancelCause; heldError?: RunError },
): Promise<SyncRunRow | undefined> {
  const { now, by, cause, heldError } = request;
  const endWaiting = (waiting: 'QUEUED' | 'AWAITING_APPROVAL', error: RunError | undefined) =>
    db
      .updateTable('sync_runs')
      .set({
        status: error ? 'FAILED' : 'CANCELLED',
        phase: 'DONE',
        ...NO_WAIT,
        finished_at: now,
        cancel_requested_at: now,
        cancel_requested_by: by,
        cancel_cause: cause,
        pending_removals: 0,
        error_code: error?.code ?? null,
        error_message: error?.message ?? null,
        error_retryable: error?.retryable ?? null,
      })
      .where('id', '=', runId)
      .where('status', '=', waiting)
      .returningAll()
      .executeTakeFirst();
  const ended = (await endWaiting('QUEUED', undefined)) ?? (await endWaiting('AWAITING_APPROVAL', heldError));
  if (ended) {
    await deletePlannedBatches(db, runId);
    return ended;
  }
  return db
    .updateTable('sync_runs')
    .set({
      cancel_requested_at: sql<Date>`coalesce(cancel_requested_at, ${now})`,
      cancel_requested_by: sql<
        string | null
      >`case when cancel_requested_at is null then ${by} else cancel_requested_by end`,
      cancel_cause: sql<CancelCause>`coalesce(cancel_cause, ${cause})`,
    })
    .where('id', '=', runId)
    .where('status', '=', 'RUNNING')
    .returningAll()
    .executeTakeFirst();
}

export async function findCancelCause(db: Db, runId: string): Promise<CancelCause | null> {
  const run = await db
    .selectFrom('sync_runs')
    .select('cancel_cause')
    .where('id', '=', runId)
    .executeTakeFirstOrThrow();
  return run.cancel_cause;
}
