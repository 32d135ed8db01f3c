import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { MemberOutcome, RejectionReason, SyncRunRow } from '../tables.ts';

/** One person of a run's ledger. position is unique within the outcome and grows. */
export interface RunMemberRow {
  position: string;
  distinct_id: string | null;
  email: string | null;
  user_id: string | null;
  outcome: MemberOutcome;
  reason: RejectionReason | null;
  detail: string | null;
  at: Date;
}

export type LedgerOutcome = Exclude<MemberOutcome, 'UNCHANGED'>;
/** Sections of the ledger, in the order in which they are paged through. */
export const LEDGER_OUTCOMES: readonly LedgerOutcome[] = ['ADDED', 'REMOVED', 'REJECTED'];

type LedgerRun = Pick<SyncRunRow, 'id' | 'export_id' | 'planned_at'>;

/** One section of a run's ledger, after a position. The run was looked up within the caller's project. */
export async function listRunMembers(
  db: Db,
  run: LedgerRun,
  section: { outcome: LedgerOutcome; reason: RejectionReason | undefined },
  page: { limit: number; after: string | undefined },
): Promise<RunMemberRow[]> {
  if (section.outcome === 'REJECTED') {
    const rows = await rejectionsOf(db, run, section.reason)
      .select(['id as position', 'distinct_id', 'email', 'user_id', 'reason', 'detail', 'rejected_at as at'])
      .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
      .orderBy('id')
      .limit(page.limit)
      .execute();
    return rows.map((row) => ({ ...row, outcome: 'REJECTED' }));
  }
  if (section.reason !== undefined) return [];
  const { outcome } = section;
  const rows = await staysOf(db, run, outcome)
    .select(['id as position', 'distinct_id', 'email', 'user_id', 'added_at', 'removed_at'])
    .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
    .orderBy('id')
    .limit(page.limit)
    .execute();
  return rows.map(({ added_at, removed_at, ...row }) => ({
    ...row,
    outcome,
    reason: null,
    detail: null,
    at: outcome === 'ADDED' ? added_at : removed_at!,
  }));
}

export async function countRunMembers(
  db: Db,
  run: LedgerRun,
  section: { outcome: LedgerOutcome; reason: RejectionReason | undefined },
): Promise<number> {
  if (section.outcome !== 'REJECTED' && section.reason !== undefined) return 0;
  const count = sql<number>`count(*)::int`.as('count');
  const row =
    section.outcome === 'REJECTED'
      ? await rejectionsOf(db, run, section.reason).select(count).executeTakeFirstOrThrow()
      : await staysOf(db, run, section.outcome).select(count).executeTakeFirstOrThrow();
  return row.count;
}

/** People whose stay this run began or ended; those of whom Iterable's answer never came are not claimed. */
function staysOf(db: Db, run: LedgerRun, outcome: 'ADDED' | 'REMOVED') {
  const stays = db.selectFrom('list_members');
  return outcome === 'ADDED'
    ? stays.where('added_run_id', '=', run.id).where('uncertain', '=', false)
    : stays.where('removed_run_id', '=', run.id);
}

/** A run that broke off before its plan rejected nobody. */
function rejectionsOf(db: Db, run: LedgerRun, reason: RejectionReason | undefined) {
  return db
    .selectFrom('rejections')
    .where('export_id', '=', run.export_id)
    .where('since_run_id', '<=', run.id)
    .where((eb) => eb.or([eb('until_run_id', 'is', null), eb('until_run_id', '>', run.id)]))
    .$if(run.planned_at === null, (query) => query.where(sql<boolean>`false`))
    .$if(reason !== undefined, (query) => query.where('reason', '=', reason!));
}
