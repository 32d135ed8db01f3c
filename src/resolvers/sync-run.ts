import {
  countHeldRemovals,
  listPendingRemovals,
  type PendingRemovalRow,
} from '../../db/queries/held-batch.ts';
import {
  countRunMembers,
  LEDGER_OUTCOMES,
  type LedgerOutcome,
  listRunMembers,
  type RunMemberRow,
} from '../../db/queries/run-member.ts';
import { countRuns, listRuns } from '../../db/queries/sync-run.ts';
import type { ExportRow, SyncRunRow } from '../../db/tables.ts';
import type { MemberOutcome, RejectionReason, RemovalDecision, SyncRunStatus } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { NotFoundError } from '../errors.ts';
import { cancelRun } from '../sync/cancel-run.ts';
import { decideRemovals } from '../sync/decide-removals.ts';
import { requirePartners } from './export.ts';
import { type Connection, idKey, isRowId, type PageArgs, pageOf } from './page.ts';

export async function requireRun({ load }: Context, runId: string): Promise<SyncRunRow> {
  const run = await load.syncRun.load(runId);
  if (!run) throw new NotFoundError('sync run');
  return run;
}

/** Runs of the whole project, or of one of its exports. */
export function readRuns(
  { viewer, sync }: Context,
  args: PageArgs & { status?: readonly SyncRunStatus[] | null | undefined },
  exportId?: number,
): Promise<Connection<SyncRunRow>> {
  const scope = { db: sync.db, projectId: viewer.project.id };
  const filter = { exportId, status: args.status ?? undefined };
  return pageOf(args, {
    ...idKey,
    load: (page) => listRuns(scope, filter, page),
    count: () => countRuns(scope, filter),
  });
}

export async function readExportOf({ load }: Context, run: SyncRunRow): Promise<ExportRow> {
  return (await load.export.load(run.export_id))!;
}

/** The people of a held run who wait for a decision. */
export function readPendingRemovals(
  { sync }: Context,
  run: SyncRunRow,
  args: PageArgs,
): Promise<Connection<PendingRemovalRow>> {
  return pageOf(args, {
    keyOf: (person: PendingRemovalRow) => person.position,
    parseKey: (value) => (Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined),
    load: (page) => listPendingRemovals(sync.db, run.id, page),
    count: () => countHeldRemovals(sync.db, run.id),
  });
}

/** The people of a run's ledger: those added, then those removed, then those rejected. */
export function readRunMembers(
  { sync }: Context,
  run: SyncRunRow,
  args: PageArgs & {
    outcome?: readonly MemberOutcome[] | null | undefined;
    reason?: readonly RejectionReason[] | null | undefined;
  },
): Promise<Connection<RunMemberRow>> {
  const reason = args.reason ?? undefined;
  const sections = LEDGER_OUTCOMES.filter(
    (outcome) => args.outcome == null || args.outcome.includes(outcome),
  );
  return pageOf(args, {
    keyOf: (member: RunMemberRow) => [member.outcome, member.position] as [LedgerOutcome, string],
    parseKey: (value) => {
      const [outcome, position] = Array.isArray(value) ? value : [];
      return LEDGER_OUTCOMES.includes(outcome) && isRowId(position) ? [outcome, position] : undefined;
    },
    async load({ limit, after }) {
      const members: RunMemberRow[] = [];
      const start = after ? LEDGER_OUTCOMES.indexOf(after[0]) : 0;
      for (const outcome of sections) {
        if (LEDGER_OUTCOMES.indexOf(outcome) < start || members.length >= limit) continue;
        const position = after?.[0] === outcome ? after[1] : undefined;
        const page = { limit: limit - members.length, after: position };
        members.push(...(await listRunMembers(sync.db, run, { outcome, reason }, page)));
      }
      return members;
    },
    async count() {
      const counts = await Promise.all(
        sections.map((outcome) => countRunMembers(sync.db, run, { outcome, reason })),
      );
      return counts.reduce((sum, count) => sum + count, 0);
    },
  });
}

export async function cancelSyncRun(ctx: Context, runId: string): Promise<SyncRunRow> {
  return await cancelRun(ctx.sync, await requireRun(ctx, runId));
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
