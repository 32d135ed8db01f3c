import { sql } from 'kysely';
import { hasBit } from '../bits.ts';
import type { Db } from '../connect.ts';
import type { SyncRunRow } from '../tables.ts';
import type { MemberOutcome, RejectionReason } from '../values.ts';
import { readPlaces } from './ledger-block.ts';
import { countRejectionsByReason } from './rejection.ts';
import { isAnyOf, type ProjectScope } from './scope.ts';
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

/** It was looked up within the caller's project. */
export type LedgerRun = Pick<SyncRunRow, 'id' | 'export_id' | 'planned_at' | 'ledger_deleted_at'>;

export interface MemberFilter {
  sections: readonly LedgerOutcome[];
  /** Only those rejected for one of these. */
  reason: readonly RejectionReason[] | undefined;
}

export interface MemberPage {
  limit: number;
  after: [outcome: LedgerOutcome, position: string] | undefined;
}

/** What a ledger says of people whom a run found not to be where it had taken them to be. */
export const DRIFT_DETAIL = {
  ADDED: 'Drift: they had gone from the list without a run, and were added again.',
  REMOVED: 'Drift: they had been put on the list without a run.',
} as const;

/** The same page of the ledger of each of these runs. */
export async function listRunMembers(
  db: Db,
  runs: readonly LedgerRun[],
  { sections, reason }: MemberFilter,
  { limit, after }: MemberPage,
): Promise<Map<string, RunMemberRow[]>> {
  const found = new Map<string, RunMemberRow[]>(runs.map((run) => [run.id, []]));
  const start = after ? LEDGER_OUTCOMES.indexOf(after[0]) : 0;
  for (const outcome of LEDGER_OUTCOMES.slice(start)) {
    if (!sections.includes(outcome)) continue;
    const wishes = runs
      .map((run) => ({ run, runId: run.id, limit: limit - found.get(run.id)!.length }))
      .filter((wish) => wish.limit > 0);
    const position = after?.[0] === outcome ? after[1] : '0';
    const section =
      outcome === 'REJECTED'
        ? await listRejected(db, wishes, position, reason)
        : reason === undefined && (await listSettled(db, wishes, position, outcome));
    if (section) for (const [runId, rows] of section) found.get(runId)!.push(...rows);
  }
  return found;
}

/** Of settled batches, because of people whose answer from Iterable never came nothing is claimed. */
function listSettled(
  db: Db,
  wishes: readonly { runId: string; limit: number }[],
  position: string,
  outcome: 'ADDED' | 'REMOVED',
): Promise<Map<string, RunMemberRow[]>> {
  return readPlaces<RunMemberRow>(
    db,
    wishes.map((wish) => ({ ...wish, after: Number(position) })),
    outcome === 'ADDED'
      ? sql`kind = 'ADD' and state = 'SETTLED' and added > 0`
      : sql`kind = 'REMOVE' and state = 'SETTLED' and removed > 0`,
    (block, { index, person: [distinct_id, email, user_id], position }, run_id) => {
      const note = block.notes?.[index] ?? 0;
      if (hasBit(block.refused, index) || note === NOTES.resent) return undefined;
      const detail = note === NOTES.drift ? DRIFT_DETAIL[outcome] : null;
      const at = block.settled_at!;
      return {
        run_id,
        position: String(position),
        distinct_id,
        email,
        user_id,
        outcome,
        reason: null,
        detail,
        at,
      };
    },
  );
}

/** A run that broke off before its plan rejected nobody; of one whose ledger was deleted nobody is told. */
async function listRejected(
  db: Db,
  wishes: readonly { run: LedgerRun; limit: number }[],
  position: string,
  reason: readonly RejectionReason[] | undefined,
): Promise<Map<string, RunMemberRow[]>> {
  const told = wishes.filter(({ run }) => run.planned_at !== null && run.ledger_deleted_at === null);
  if (told.length === 0) return new Map();
  const { rows } = await sql<RunMemberRow>`
    select wish.run_id, person.* from unnest(
      ${told.map(({ run }) => run.id)}::bigint[], ${told.map(({ run }) => run.export_id)}::int[],
      ${told.map(({ limit }) => limit)}::int[]
    ) as wish (run_id, export_id, rows)
    cross join lateral (
      select id as position, distinct_id, email, user_id, 'REJECTED' as outcome, reason, detail, rejected_at as at
      from rejections
      where rejections.export_id = wish.export_id and id > ${position}::bigint
        and since_run_id <= wish.run_id and (until_run_id is null or until_run_id > wish.run_id)
        and ${reason ? isAnyOf('reason', reason) : sql`true`}
      order by id limit wish.rows
    ) as person
    order by person.position`.execute(db);
  return Map.groupBy(rows, (row) => row.run_id);
}

/** How many people the ledger of each of these runs has; runs without any may be left out. */
export async function countRunMembers(
  scope: ProjectScope,
  runs: readonly LedgerRun[],
  { sections, reason }: MemberFilter,
): Promise<Map<string, number>> {
  const ids = runs.map((run) => run.id);
  const [settled, rejected] = await Promise.all([
    reason === undefined && sections.some((outcome) => outcome !== 'REJECTED')
      ? countSettled(scope.db, ids)
      : new Map(),
    sections.includes('REJECTED') ? countRejectionsByReason(scope, ids) : new Map(),
  ]);
  const totalOf = (id: string): number => {
    const counts = settled.get(id);
    let total = 0;
    if (sections.includes('ADDED')) total += counts?.added ?? 0;
    if (sections.includes('REMOVED')) total += counts?.removed ?? 0;
    for (const one of rejected.get(id) ?? []) if (!reason || reason.includes(one.reason)) total += one.count;
    return total;
  };
  return new Map(ids.map((id) => [id, totalOf(id)]));
}

async function countSettled(
  db: Db,
  runIds: readonly string[],
): Promise<Map<string, { added: number; removed: number }>> {
  const { rows } = await sql<{ runId: string; added: number; removed: number }>`
    select run_id as "runId", coalesce(sum(added) filter (where kind = 'ADD'), 0)::int as added,
      coalesce(sum(removed) filter (where kind = 'REMOVE'), 0)::int as removed
    from sync_batches where run_id = any(${[...runIds]}::bigint[]) and state = 'SETTLED'
    group by run_id`.execute(db);
  return new Map(rows.map(({ runId, ...counts }) => [runId, counts]));
}
