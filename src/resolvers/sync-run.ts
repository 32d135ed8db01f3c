import { LRUCache } from 'lru-cache';
import type { Wanted } from '../../db/queries/card.ts';
import type { PendingRemovalRow } from '../../db/queries/held-removal.ts';
import type { RejectionCount } from '../../db/queries/rejection.ts';
import { LEDGER_OUTCOMES, type LedgerOutcome, type RunMemberRow } from '../../db/queries/run-member.ts';
import { countRuns, listRuns } from '../../db/queries/sync-run.ts';
import type { ExportRow, SyncRunRow } from '../../db/tables.ts';
import type { MemberOutcome, RejectionReason, RemovalDecision, SyncRunStatus } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import type { MaybePromise } from '../maybe-promise.ts';
import { cancelRun } from '../sync/cancel-run.ts';
import { decideRemovals } from '../sync/decide-removals.ts';
import { carriedBy } from './card.ts';
import { requirePartners } from './export.ts';
import { type Connection, idKey, isRowId, type PageArgs, pageOf } from './page.ts';

/** By the id of the run. */
export type FinalCounts = LRUCache<string, readonly RejectionCount[]>;

/** A run has up to some ten reasons, 1 kB. */
const MAX_FINAL_COUNTS = 5_000;

export function createFinalCounts(): FinalCounts {
  return new LRUCache({ max: MAX_FINAL_COUNTS });
}

export async function requireRun({ load }: Context, runId: string): Promise<SyncRunRow> {
  const run = await load.syncRun.load(runId);
  if (!run) throw new NotFoundError('sync run');
  return run;
}

type RunArgs = PageArgs & { status?: readonly SyncRunStatus[] | null | undefined };

/** Runs of the whole project, or of one of its exports. */
export function readRuns(
  ctx: Context,
  args: RunArgs,
  wanted: Wanted,
  exportId?: number,
): Promise<Connection<SyncRunRow>> {
  const scope = { db: ctx.sync.db, projectId: ctx.viewer.project.id };
  const filter = { exportId, status: args.status ?? undefined };
  return pageOf(args, {
    ...idKey,
    load: (page) => listRuns(scope, filter, page, wanted.run),
    count: () =>
      exportId === undefined
        ? countRuns(scope, filter)
        : ctx.load.runCount({ status: filter.status }, exportId),
  });
}

export function readRunsOf(
  { load }: Context,
  exported: ExportRow,
  args: PageArgs,
  wanted: Wanted,
): Promise<Connection<SyncRunRow>> {
  return pageOf(args, {
    ...idKey,
    load: (page) => load.runs({ ...page, columns: wanted.run }, exported.id),
    count: () => load.runCount({}, exported.id),
  });
}

export async function readExportOf({ load }: Context, run: SyncRunRow): Promise<ExportRow> {
  return carriedBy(run)?.export ?? (await load.export.load(run.export_id))!;
}

/** What is counted of a run that is over is good for ever, or until its ledger is deleted. */
export function readRejectedByReason(
  { load, finalCounts }: Context,
  { id, finished_at: finishedAt, ledger_deleted_at: deletedAt }: SyncRunRow,
): MaybePromise<readonly RejectionCount[]> {
  if (deletedAt !== null) return [];
  const known = finalCounts.get(id);
  if (known) return known;
  const counting = load.rejectionCounts.load(id);
  if (finishedAt === null) return counting;
  return counting.then((counts) => {
    finalCounts.set(id, counts);
    return counts;
  });
}

/** The people of a held run who wait for a decision. */
export function readPendingRemovals(
  { load }: Context,
  run: SyncRunRow,
  args: PageArgs,
): Promise<Connection<PendingRemovalRow>> {
  return pageOf(args, {
    keyOf: (person: PendingRemovalRow) => person.position,
    parseKey: (value) => (Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined),
    load: (page) => load.pendingRemovals(page, run.id),
    count: () => load.pendingRemovalCount({}, run.id),
  });
}

/** The people of a run's ledger: those added, then those removed, then those rejected. */
export function readRunMembers(
  { load }: Context,
  run: SyncRunRow,
  args: PageArgs & {
    outcome?: readonly MemberOutcome[] | null | undefined;
    reason?: readonly RejectionReason[] | null | undefined;
  },
): Promise<Connection<RunMemberRow>> {
  const sections = LEDGER_OUTCOMES.filter(
    (outcome) => args.outcome == null || args.outcome.includes(outcome),
  );
  const filter = { sections, reason: args.reason ?? undefined };
  return pageOf(args, {
    keyOf: (member: RunMemberRow) => [member.outcome, member.position] as [LedgerOutcome, string],
    parseKey: (value): [LedgerOutcome, string] | undefined => {
      const [outcome, position] = Array.isArray(value) ? value : [];
      return LEDGER_OUTCOMES.includes(outcome) && isRowId(position) ? [outcome, position] : undefined;
    },
    load: (page) => load.members({ ...filter, ...page }, run),
    count: () => load.memberCount(filter, run),
  });
}

export async function cancelSyncRun(ctx: Context, runId: string): Promise<SyncRunRow> {
  return await cancelRun(ctx.sync, await requireRun(ctx, runId), ctx.viewer.tokenName);
}

/** The removals of a held run: the people leave the list, or are kept on it. */
export async function decideSyncRun(
  ctx: Context,
  runId: string,
  decision: RemovalDecision,
): Promise<SyncRunRow> {
  const run = await requireRun(ctx, runId);
  const exported = await readExportOf(ctx, run);
  if (decision === 'APPROVED') await requirePartners(ctx, exported);
  return await decideRemovals(ctx.sync, run, exported.integration_id, decision);
}
