import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SyncRunRow } from '../tables.ts';
import type { RunPurpose, SyncPhase, SyncTrigger, WaitReason } from '../values.ts';

export interface NewRun {
  projectId: string;
  exportId: number;
  trigger: SyncTrigger;
  purpose?: RunPurpose;
  includeKept?: boolean;
  /** Undefined for scheduled runs and pushes. */
  startedBy?: string | undefined;
  now: Date;
}

/** Queues a run unless the export has an active one; then that one is given instead. */
export async function insertRun(db: Db, run: NewRun): Promise<{ run: SyncRunRow; alreadyActive: boolean }> {
  const inserted = await db
    .insertInto('sync_runs')
    .values({
      project_id: run.projectId,
      export_id: run.exportId,
      trigger: run.trigger,
      purpose: run.purpose ?? 'SYNC',
      include_kept: run.includeKept ?? false,
      started_by: run.startedBy ?? null,
      queued_at: run.now,
    })
    .onConflict((conflict) =>
      conflict
        .column('export_id')
        .where('status', 'in', ['QUEUED', 'RUNNING', 'AWAITING_APPROVAL'])
        .doNothing(),
    )
    .returningAll()
    .executeTakeFirst();
  if (inserted) return { run: inserted, alreadyActive: false };
  const active = await findActiveRun(db, run.exportId);
  // It ended between the two statements: then there is room now.
  return active ? { run: active, alreadyActive: true } : insertRun(db, run);
}

/** A run that nobody ever sees, for a plan in a transaction that is rolled back. It does not stand in the way of others. */
export async function insertDiscardedRun(
  db: Db,
  run: Pick<NewRun, 'projectId' | 'exportId' | 'now'>,
): Promise<string> {
  const { id } = await db
    .insertInto('sync_runs')
    .values({
      project_id: run.projectId,
      export_id: run.exportId,
      trigger: 'MANUAL',
      status: 'CANCELLED',
      phase: 'DONE',
      queued_at: run.now,
      finished_at: run.now,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

export async function findActiveRun(db: Db, exportId: number): Promise<SyncRunRow | undefined> {
  return db
    .selectFrom('sync_runs')
    .selectAll()
    .where('export_id', '=', exportId)
    .where('status', 'in', ['QUEUED', 'RUNNING', 'AWAITING_APPROVAL'])
    .executeTakeFirst();
}

/**
 * Makes the caller the one who executes the run; whoever had it before finds its attempt outdated at its next write.
 * Undefined when the run is over, or is parked.
 */
export async function takeUpRun(db: Db, runId: string, now: Date): Promise<SyncRunRow | undefined> {
  return db
    .updateTable('sync_runs')
    .set({
      status: 'RUNNING',
      attempt: sql<number>`attempt + 1`,
      wait_reason: null,
      wait_until: null,
      started_at: sql<Date>`coalesce(started_at, ${now})`,
    })
    .where('id', '=', runId)
    .where('status', 'in', ['QUEUED', 'RUNNING'])
    .where('query_turn', '!=', 'PARKED')
    .returningAll()
    .executeTakeFirst();
}

export interface RunChanges {
  phase?: SyncPhase;
  progress?: number;
  members?: number;
  added?: number;
  unchanged?: number;
  removed?: number;
  rejected?: number;
  planned_unchanged?: number;
  planned_rejected?: number;
  planned_added?: number;
  planned_from?: number;
  pending_removals?: number;
  planned_at?: Date;
  requests_sent?: number;
  notices?: string[];
  /** RunNotices as JSON. */
  notice_details?: string;
  wait_reason?: WaitReason | null;
  wait_until?: Date | null;
}

export interface RunAttempt {
  runId: string;
  attempt: number;
}

/** Writes what changed. Undefined when the run is no longer this attempt's. Progress never falls. */
export async function updateRun(
  db: Db,
  { runId, attempt }: RunAttempt,
  changes: RunChanges,
): Promise<{ isCancelRequested: boolean } | undefined> {
  const { progress, ...plain } = changes;
  const row = await db
    .updateTable('sync_runs')
    .set({
      ...plain,
      ...(progress === undefined ? {} : { progress: sql<number>`greatest(progress, ${progress}::float8)` }),
    })
    .where('id', '=', runId)
    .where('attempt', '=', attempt)
    .where('status', '=', 'RUNNING')
    .returning('cancel_requested_at')
    .executeTakeFirst();
  return row && { isCancelRequested: row.cancel_requested_at !== null };
}

export async function readRunSignals(
  db: Db,
  { runId, attempt }: RunAttempt,
): Promise<{ isCancelRequested: boolean } | undefined> {
  const row = await db
    .selectFrom('sync_runs')
    .select('cancel_requested_at')
    .where('id', '=', runId)
    .where('attempt', '=', attempt)
    .where('status', '=', 'RUNNING')
    .executeTakeFirst();
  return row && { isCancelRequested: row.cancel_requested_at !== null };
}

/**
 * Within a transaction: one attempt at a time plans a run, until the transaction ends. False when the run is no longer
 * this attempt's.
 */
export async function lockPlan(db: Db, attempt: RunAttempt): Promise<boolean> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`plan:${attempt.runId}`}, 0))`.execute(db);
  return (await readRunSignals(db, attempt)) !== undefined;
}
