import { sql } from 'kysely';
import { hasBit } from '../bits.ts';
import type { Db } from '../connect.ts';
import type { SyncRunRow } from '../tables.ts';
import type { MemberOutcome, RejectionReason } from '../values.ts';
import { isAnyOf } from './scope.ts';
import { NOTES } from './sync-batch.ts';

/** One person of a run's ledger. position is unique within run and outcome, and grows. */
export interface RunMemberRow {
  run_id: string;
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

type LedgerRun = Pick<SyncRunRow, 'id' | 'export_id' | 'planned_at' | 'ledger_deleted_at'>;

/** A position in the batches of a run is the batch's number times this, plus the place in it, from 1. */
const PLACES_PER_BATCH = 65_536;
/** What a ledger says of people whom a run found not to be where it had taken them to be. */
export const DRIFT_DETAIL = {
  ADDED: 'Drift: they had gone from the list without a run, and were added again.',
  REMOVED: 'Drift: they had been put on the list without a run.',
} as const;

/** One section of a run's ledger, after a position. The run was looked up within the caller's project. */
export async function listRunMembers(
  db: Db,
  run: LedgerRun,
  section: { outcome: LedgerOutcome; reason: readonly RejectionReason[] | undefined },
  page: { limit: number; after: string | undefined },
): Promise<RunMemberRow[]> {
  if (section.outcome === 'REJECTED') {
    const rows = await rejectionsOf(db, run, section.reason)
      .select(['id as position', 'distinct_id', 'email', 'user_id', 'reason', 'detail', 'rejected_at as at'])
      .$if(page.after !== undefined, (query) => query.where('id', '>', page.after!))
      .orderBy('id')
      .limit(page.limit)
      .execute();
    return rows.map((row) => ({ ...row, run_id: run.id, outcome: 'REJECTED' }));
  }
  if (section.reason !== undefined) return [];
  return await listBatchMembers(db, run, section.outcome, page);
}

/** People of the run's settled batches, read batch by batch until the page is full. */
async function listBatchMembers(
  db: Db,
  run: LedgerRun,
  outcome: 'ADDED' | 'REMOVED',
  page: { limit: number; after: string | undefined },
): Promise<RunMemberRow[]> {
  const members: RunMemberRow[] = [];
  let next = Number(page.after ?? 0);
  while (members.length < page.limit) {
    const batch = await batchesOf(db, run, outcome)
      .select(['number', 'size', 'people', 'notes', 'refused', 'settled_at'])
      .where('number', '>=', Math.floor(next / PLACES_PER_BATCH))
      .orderBy('number')
      .limit(1)
      .executeTakeFirst();
    if (!batch) break;
    const people = JSON.parse(batch.people) as [string | null, string | null, string | null][];
    const first = Math.max(0, next - batch.number * PLACES_PER_BATCH);
    for (let index = first; index < batch.size && members.length < page.limit; index++) {
      const note = batch.notes?.[index] ?? 0;
      if (hasBit(batch.refused, index) || note === NOTES.resent) continue;
      const [distinct_id, email, user_id] = people[index]!;
      members.push({
        run_id: run.id,
        position: String(batch.number * PLACES_PER_BATCH + index + 1),
        distinct_id,
        email,
        user_id,
        outcome,
        reason: null,
        detail: note === NOTES.drift ? DRIFT_DETAIL[outcome] : null,
        at: batch.settled_at!,
      });
    }
    next = (batch.number + 1) * PLACES_PER_BATCH;
  }
  return members;
}

export async function countRunMembers(
  db: Db,
  run: LedgerRun,
  section: { outcome: LedgerOutcome; reason: readonly RejectionReason[] | undefined },
): Promise<number> {
  if (section.outcome === 'REJECTED') {
    const count = sql<number>`count(*)::int`.as('count');
    return (await rejectionsOf(db, run, section.reason).select(count).executeTakeFirstOrThrow()).count;
  }
  if (section.reason !== undefined) return 0;
  const column = section.outcome === 'ADDED' ? 'added' : 'removed';
  const { count } = await batchesOf(db, run, section.outcome)
    .select(sql<number>`coalesce(sum(${sql.ref(column)}), 0)::int`.as('count'))
    .executeTakeFirstOrThrow();
  return count;
}

/** What was answered; people of whom Iterable's answer never came are not claimed. */
function batchesOf(db: Db, run: LedgerRun, outcome: 'ADDED' | 'REMOVED') {
  return db
    .selectFrom('sync_batches')
    .where('run_id', '=', run.id)
    .where('kind', '=', outcome === 'ADDED' ? 'ADD' : 'REMOVE')
    .where('state', '=', 'SETTLED')
    .where(outcome === 'ADDED' ? 'added' : 'removed', '>', 0);
}

/** A run that broke off before its plan rejected nobody; of one whose ledger was deleted nobody is told. */
function rejectionsOf(db: Db, run: LedgerRun, reason: readonly RejectionReason[] | undefined) {
  return db
    .selectFrom('rejections')
    .where('export_id', '=', run.export_id)
    .where('since_run_id', '<=', run.id)
    .where((eb) => eb.or([eb('until_run_id', 'is', null), eb('until_run_id', '>', run.id)]))
    .$if(run.planned_at === null || run.ledger_deleted_at !== null, (query) =>
      query.where(sql<boolean>`false`),
    )
    .$if(reason !== undefined, (query) => query.where(isAnyOf('reason', reason!)));
}
