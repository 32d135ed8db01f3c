import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { QueryKind } from '../values.ts';
import type { RunAttempt } from './active-run.ts';
import {
  type CalledRun,
  countAhead,
  countInLine,
  listFirstInLine,
  type MixpanelProject,
  unparkRuns,
} from './mixpanel-line.ts';

/** How many queries may be sent within an hour. perHour 0: any number; they are counted all the same. */
export interface HourBudget {
  perHour: number;
  /** So many of them the runs leave to the cohort list. */
  listShare: number;
}

const HOUR_MS = 3_600_000;

/** Counted queries against Mixpanel within the hour before now. */
export async function countQueriesLastHour(db: Db, project: MixpanelProject, now: Date): Promise<number> {
  return (await listQueries(db, project, now)).length;
}

/** For whom a query is: the cohort list, a run that waits for its turn in the line, a preview behind all of them, or a read in its middle. */
export type QueryFor = 'COHORT_LIST' | RunAttempt | 'PREVIEW' | 'LATER_PAGE';

export type Reservation = { granted: true; queryId: string } | { granted: false; retryAfterMs: number };

/**
 * Takes one query out of the hour's budget, which all processes share. Runs get them in the order in which they were
 * queued, and the cohort list keeps its share. Not granted: about how long until it may be.
 */
export async function reserveQuery(
  db: Db,
  project: MixpanelProject,
  queryFor: QueryFor,
  budget: HourBudget & { now: Date },
): Promise<Reservation> {
  const { region, mixpanel_project_id } = project;
  const { now } = budget;
  return await db.transaction().execute(async (trx) => {
    await lockQueries(trx, project);
    await trx
      .deleteFrom('mixpanel_queries')
      .where('region', '=', region)
      .where('mixpanel_project_id', '=', mixpanel_project_id)
      .where('at', '<=', hourBefore(now))
      .execute();
    const retryAfterMs = await findWaitMs(trx, project, queryFor, budget);
    if (retryAfterMs > 0) return { granted: false as const, retryAfterMs };
    const kind = queryFor === 'COHORT_LIST' ? 'COHORTS' : 'MEMBERS';
    const { id } = await trx
      .insertInto('mixpanel_queries')
      .values({ region, mixpanel_project_id, at: now, kind })
      .returning('id')
      .executeTakeFirstOrThrow();
    if (typeof queryFor === 'object') {
      await trx
        .updateTable('sync_runs')
        .set({ query_turn: 'TAKEN' })
        .where('id', '=', queryFor.runId)
        .where('attempt', '=', queryFor.attempt)
        .where('query_turn', '!=', 'TAKEN')
        .execute();
    }
    return { granted: true as const, queryId: id };
  });
}

/** A query was answered, or failed: it counts from now on, because Mixpanel has counted it at some moment before. */
export async function settleQuery(db: Db, queryId: string, now: Date): Promise<void> {
  await db.updateTable('mixpanel_queries').set({ at: now }).where('id', '=', queryId).execute();
}

/** A query that Mixpanel did not count after all. */
export async function forgetQuery(db: Db, queryId: string): Promise<void> {
  await db.deleteFrom('mixpanel_queries').where('id', '=', queryId).execute();
}

/** About how long until there is a query for this one; 0: there is one now. */
export async function findWaitMs(
  db: Db,
  project: MixpanelProject,
  queryFor: QueryFor,
  budget: HourBudget & { now: Date },
): Promise<number> {
  const now = budget.now.getTime();
  const used = await listQueries(db, project, budget.now);
  const heldMs = Math.max(0, ((await findHeldUntil(db, project))?.getTime() ?? 0) - now);
  const missing = await countMissing(db, project, queryFor, { ...budget, used });
  if (missing <= 0) return heldMs;
  const leavesAt = used[Math.min(missing, used.length) - 1]?.at.getTime() ?? now;
  return Math.max(1000, heldMs, leavesAt + HOUR_MS - now);
}

/** How many queries of the hour have to fall out of it first; 0 or less: none. */
async function countMissing(
  db: Db,
  project: MixpanelProject,
  queryFor: QueryFor,
  hour: HourBudget & { used: { kind: QueryKind }[] },
): Promise<number> {
  if (hour.perHour === 0) return 0;
  if (queryFor === 'COHORT_LIST') {
    const isWithinShare = countLists(hour.used) < hour.listShare;
    const ahead = isWithinShare ? 0 : await countInLine(db, project);
    return 1 + ahead - (hour.perHour - hour.used.length);
  }
  // The later pages of a read go first: Mixpanel does not keep its session for ever.
  if (queryFor === 'LATER_PAGE') return 1 - roomForRuns(hour);
  const ahead = await (queryFor === 'PREVIEW'
    ? countInLine(db, project)
    : countAhead(db, project, queryFor.runId));
  return 1 + ahead - roomForRuns(hour);
}

function roomForRuns({ perHour, listShare, used }: HourBudget & { used: { kind: QueryKind }[] }): number {
  return perHour - used.length - Math.max(0, listShare - countLists(used));
}

function countLists(used: { kind: QueryKind }[]): number {
  return used.filter((query) => query.kind === 'COHORTS').length;
}

/** Mixpanel says that the hour is used up, by others too: nobody sends a counted query before this time. */
export async function holdQueries(db: Db, project: MixpanelProject, until: Date): Promise<void> {
  const { region, mixpanel_project_id } = project;
  await db
    .insertInto('mixpanel_budgets')
    .values({ region, mixpanel_project_id, held_until: until })
    .onConflict((conflict) =>
      conflict.columns(['region', 'mixpanel_project_id']).doUpdateSet({
        held_until: sql<Date>`greatest(mixpanel_budgets.held_until, excluded.held_until)`,
      }),
    )
    .execute();
}

/**
 * The parked runs for which there is a query now; they are not parked any more. db must be a transaction in which the
 * caller gives each of them a job.
 */
export async function callParkedRuns(
  db: Db,
  project: MixpanelProject,
  budget: HourBudget & { now: Date },
): Promise<CalledRun[]> {
  await lockQueries(db, project);
  const heldUntil = await findHeldUntil(db, project);
  if (heldUntil && heldUntil > budget.now) return [];
  const used = await listQueries(db, project, budget.now);
  const room = budget.perHour === 0 ? undefined : roomForRuns({ ...budget, used });
  return await unparkRuns(db, await listFirstInLine(db, project, room));
}

/** Within the hour before now, the oldest first. */
async function listQueries(
  db: Db,
  { region, mixpanel_project_id }: MixpanelProject,
  now: Date,
): Promise<{ kind: QueryKind; at: Date }[]> {
  return db
    .selectFrom('mixpanel_queries')
    .select(['kind', 'at'])
    .where('region', '=', region)
    .where('mixpanel_project_id', '=', mixpanel_project_id)
    .where('at', '>', hourBefore(now))
    .orderBy('at')
    .execute();
}

async function findHeldUntil(
  db: Db,
  { region, mixpanel_project_id }: MixpanelProject,
): Promise<Date | null | undefined> {
  const budget = await db
    .selectFrom('mixpanel_budgets')
    .select('held_until')
    .where('region', '=', region)
    .where('mixpanel_project_id', '=', mixpanel_project_id)
    .executeTakeFirst();
  return budget?.held_until;
}

/** Within a transaction: one caller at a time looks at the hour of a Mixpanel project. */
async function lockQueries(trx: Db, { region, mixpanel_project_id }: MixpanelProject): Promise<void> {
  const name = `mixpanel:${region}:${mixpanel_project_id}`;
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 0))`.execute(trx);
}

function hourBefore(now: Date): Date {
  return new Date(now.getTime() - HOUR_MS);
}
