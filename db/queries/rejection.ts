import { sql } from 'kysely';
import { toPlainArray } from '../array-literal.ts';
import type { Db } from '../connect.ts';
import { hotStatement } from '../hot-statement.ts';
import type { RejectionReason } from '../values.ts';
import { inProject, type ProjectScope } from './scope.ts';

/** A range of 128-bit keys as 32 hex digits; `to` is not in it, null is the end. */
export interface KeyRange {
  from: string;
  to: string | null;
}

export interface OpenRejectionRow {
  id: string;
  key: string;
  distinctId: string;
  reason: RejectionReason;
  fingerprint: number;
  retryAt: Date | null;
}

export interface RejectionCount {
  reason: RejectionReason;
  count: number;
}

const countsByReason = hotStatement<{ projectId: string; runIds: readonly string[] }>('rejection_counts');

/** So many people are rejected for the reason in the runs from `first` on that come before `past`, counted from 0. */
type Stretch = [reason: RejectionReason, first: number, past: number, people: number];

/**
 * Whom the ledgers of these runs have as rejected, by reason: the most frequent first, then by name. Runs without any
 * have no entry. However many runs of one export there are, its rejections are read once: each holds for a stretch of
 * them, and what holds for the same stretch is counted before it is told of each run.
 */
export async function countRejectionsByReason(
  { db, projectId }: ProjectScope,
  runIds: readonly string[],
): Promise<Map<string, RejectionCount[]>> {
  const rows = await countsByReason.run(
    db,
    '',
    (compiler, slot) => {
      const runs = inProject(compiler, slot('projectId'))
        .syncRuns()
        .select(['export_id', sql<string[]>`array_agg(id order by id)`.as('ids')])
        .where('id', '=', sql<string>`any(${slot('runIds')}::bigint[])`)
        // As listRunMembers: without a plan nobody was rejected, and of a ledger that was deleted nobody is told.
        .where('planned_at', 'is not', null)
        .where('ledger_deleted_at', 'is', null)
        .groupBy('export_id');
      return sql`
        select array_to_json(ids::text[]), told.stretches from (${runs}) as asked cross join lateral (
          select json_agg(json_build_array(reason, first, past, people)) as stretches from (
            select reason, width_bucket(since_run_id - 1, ids) as first,
              coalesce(width_bucket(until_run_id - 1, ids), cardinality(ids)) as past, count(*) as people
            from rejections where rejections.export_id = asked.export_id
            group by reason, first, past
          ) as stretch where first < past
        ) as told where told.stretches is not null`;
    },
    { projectId, runIds },
  );
  const byRun = new Map<string, RejectionCount[]>();
  for (const [ids, stretches] of rows as [string[], Stretch[]][]) tellEachRun(byRun, ids, stretches);
  for (const counts of byRun.values()) counts.sort(byFrequency);
  return byRun;
}

function tellEachRun(byRun: Map<string, RejectionCount[]>, runIds: string[], stretches: Stretch[]): void {
  for (const [reason, first, past, people] of stretches) {
    for (let place = first; place < past; place++) {
      const runId = runIds[place]!;
      const counts = byRun.get(runId) ?? [];
      if (counts.length === 0) byRun.set(runId, counts);
      const known = counts.find((one) => one.reason === reason);
      if (known) known.count += people;
      else counts.push({ reason, count: people });
    }
  }
}

function byFrequency(left: RejectionCount, right: RejectionCount): number {
  return right.count - left.count || (left.reason < right.reason ? -1 : 1);
}

/** The rejections of an export that still hold, within a range of keys. */
export async function loadOpenRejections(
  db: Db,
  exportId: number,
  range: KeyRange,
): Promise<OpenRejectionRow[]> {
  const rows = await db
    .selectFrom('rejections')
    .select([
      'id',
      sql<string>`encode(uuid_send(key), 'hex')`.as('key'),
      'distinct_id as distinctId',
      'reason',
      'fingerprint',
      'retry_at as retryAt',
    ])
    .where('export_id', '=', exportId)
    .where('until_run_id', 'is', null)
    .where('key', '>=', range.from)
    .$if(range.to !== null, (query) => query.where('key', '<', range.to!))
    .execute();
  return rows.map((row) => ({ ...row, fingerprint: Number(row.fingerprint) }));
}

export async function hasOpenRejections(db: Db, exportId: number): Promise<boolean> {
  const row = await db
    .selectFrom('rejections')
    .select('id')
    .where('export_id', '=', exportId)
    .where('until_run_id', 'is', null)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export interface NewRejection {
  key: string;
  distinctId: string;
  email: string | null;
  userId: string | null;
  reason: RejectionReason;
  fingerprint: number;
  retryAt?: Date | null;
  detail?: string | null;
}

export async function insertRejections(
  db: Db,
  run: { exportId: number; runId: string; at: Date },
  rejections: NewRejection[],
): Promise<void> {
  if (rejections.length === 0) return;
  await sql`
    insert into rejections
      (export_id, since_run_id, rejected_at, key, distinct_id, email, user_id, reason, fingerprint, retry_at, detail)
    select ${run.exportId}::int, ${run.runId}::bigint, ${run.at}::timestamptz, rejection.*
    from unnest(
      ${rejections.map((one) => one.key)}::uuid[],
      ${rejections.map((one) => one.distinctId)}::text[],
      ${rejections.map((one) => one.email)}::text[],
      ${rejections.map((one) => one.userId)}::text[],
      ${rejections.map((one) => one.reason)}::text[],
      ${rejections.map((one) => one.fingerprint)}::bigint[],
      ${rejections.map((one) => one.retryAt ?? null)}::timestamptz[],
      ${rejections.map((one) => one.detail ?? null)}::text[]
    ) as rejection
  `.execute(db);
}

/** From this run on they hold no longer. */
export async function closeRejections(db: Db, runId: string, ids: string[]): Promise<void> {
  if (ids.length === 0) return;
  await db
    .updateTable('rejections')
    .set({ until_run_id: runId })
    .where('id', '=', sql<string>`any(${ids}::bigint[])`)
    .execute();
}

/** Closes what Iterable had said of these people: it took them after all, or says something new. */
export async function closeRefusals(db: Db, exportId: number, runId: string, keys: string[]): Promise<void> {
  if (keys.length === 0) return;
  await db
    .updateTable('rejections')
    .set({ until_run_id: runId })
    .where('export_id', '=', exportId)
    .where('until_run_id', 'is', null)
    .where('key', '=', sql<string>`any(${toPlainArray(keys)}::uuid[])`)
    .where(sql<boolean>`reason like 'ITERABLE%'`)
    .execute();
}

/** Iterable said the same as before: tried again at the new time, otherwise unchanged. Gives the keys that were there. */
export async function renewRefusals(
  db: Db,
  exportId: number,
  refusals: { key: string; reason: RejectionReason; retryAt: Date | null }[],
): Promise<Set<string>> {
  if (refusals.length === 0) return new Set();
  const { rows } = await sql<{ key: string }>`
    update rejections set retry_at = renewed.retry_at
    from unnest(
      ${refusals.map((one) => one.key)}::uuid[],
      ${refusals.map((one) => one.reason)}::text[],
      ${refusals.map((one) => one.retryAt)}::timestamptz[]
    ) as renewed (key, reason, retry_at)
    where rejections.export_id = ${exportId} and rejections.until_run_id is null
      and rejections.key = renewed.key and rejections.reason = renewed.reason
    returning encode(uuid_send(rejections.key), 'hex') as key
  `.execute(db);
  return new Set(rows.map((row) => row.key));
}
