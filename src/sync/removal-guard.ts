import type { Db } from '../../db/connect.ts';
import {
  countHeldRemovals,
  deleteBatch,
  holdBatch,
  nextPlannedBatch,
  noteFreeRemovals,
  noteWaitingAdditions,
  type PlannedBatch,
} from '../../db/queries/held-batch.ts';
import { NOTES } from '../../db/queries/sync-batch.ts';
import type { IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import type { BatchKind } from '../../db/values.ts';
import type { Env } from '../env.ts';
import { countPeople } from './count-people.ts';
import type { Journal } from './journal.ts';
import { KEY_BYTES } from './member-record.ts';
import { type BlockPerson, decodePeople, decodePlace } from './people-block.ts';
import type { ExportDelay } from './query-budget.ts';

/** A run that would remove more than maxShare of the list, and at least minRemovals people, waits for approval. */
export interface RemovalGuard {
  maxShare: number;
  minRemovals: number;
}

/** As the connection to Iterable was set up. */
export function guardOf(integration: IntegrationRow): RemovalGuard | undefined {
  const { guard_max_share: maxShare, guard_min_removals: minRemovals } = integration;
  return maxShare === null || minRemovals === null ? undefined : { maxShare, minRemovals };
}

export function isOverGuard(guard: RemovalGuard, removals: number, listSize: number): boolean {
  return removals >= guard.minRemovals && removals > guard.maxShare * listSize;
}

interface PlannedRun {
  runId: string;
  journal: Journal;
}

/**
 * Holds the planned removals when they are more than the guard allows, and the additions that share a distinct_id,
 * e-mail or userId with one of them. People whose identity changed are no removals for the guard, and are not held.
 * Within the transaction of the plan. Gives how many removals are held.
 */
export async function holdRemovals(
  db: Db,
  { runId, journal }: PlannedRun,
  plan: { guard: RemovalGuard; removals: number; listSize: number },
): Promise<number> {
  const { guard, removals, listSize } = plan;
  if (!isOverGuard(guard, removals, listSize)) return 0;
  const free = await noteFreeRemovals(db, runId);
  if (!isOverGuard(guard, removals - free, listSize)) {
    await sortBatches(db, { runId, journal }, 'REMOVE', { sorted: 'send', others: 'send' });
    return 0;
  }
  await sortBatches(db, { runId, journal }, 'REMOVE', { sorted: 'send', others: 'hold' });
  await noteWaitingAdditions(db, runId);
  await sortBatches(db, { runId, journal }, 'ADD', { sorted: 'hold', others: 'send' });
  return await countHeldRemovals(db, runId);
}

/**
 * The plan after an approval: of its removals only those stay that an earlier plan of the run holds, and those of people
 * whose identity changed; anybody else waits for the next run. Gives how many stay.
 */
export async function keepApprovedRemovals(db: Db, run: PlannedRun): Promise<number> {
  const approved = await noteFreeRemovals(db, run.runId);
  await sortBatches(db, run, 'REMOVE', { sorted: 'send', others: 'drop' });
  return approved;
}

type Fate = 'send' | 'hold' | 'drop';

/** Cuts the planned batches of one kind anew where people of both sorts are in one. */
async function sortBatches(
  db: Db,
  { runId, journal }: PlannedRun,
  kind: BatchKind,
  fates: { sorted: Fate; others: Fate },
): Promise<void> {
  const range = { from: 0, to: journal.nextNumber };
  for (;;) {
    const batch = await nextPlannedBatch(db, runId, kind, range);
    if (!batch) break;
    range.from = batch.number + 1;
    const isSorted = (index: number) => ((batch.notes?.[index] ?? 0) & NOTES.sorted) !== 0;
    if (batch.notes?.some((_, index) => isSorted(index))) {
      const people = listPeople(batch);
      for (const fate of ['send', 'hold'] as const) {
        const chosen = people.filter((_, index) => (isSorted(index) ? fates.sorted : fates.others) === fate);
        await journal.add(kind, chosen, { held: fate === 'hold' });
      }
      await deleteBatch(db, batch.id);
    } else if (fates.others === 'hold') await holdBatch(db, batch.id);
    else if (fates.others === 'drop') await deleteBatch(db, batch.id);
  }
  await journal.end();
}

function listPeople(batch: PlannedBatch): BlockPerson[] {
  return decodePeople(batch.people).map((person, index) => ({
    ...person,
    key: batch.keys.toString('latin1', index * KEY_BYTES, (index + 1) * KEY_BYTES),
    fingerprint: batch.fingerprints.readDoubleLE(index * 8),
    note: (batch.notes?.[index] ?? 0) & ~NOTES.sorted,
    place: decodePlace(batch.places, index),
  }));
}

/** While a run is held no other run of its export begins. Pure. */
export function approvalDelay(
  run: Pick<SyncRunRow, 'pending_removals'>,
  env: Pick<Env, 'dynamicSyncIntervalMs'>,
): ExportDelay {
  return {
    reason: `The removal of ${countPeople(run.pending_removals)} waits for approveRemovals or discardRemovals; no other run begins before.`,
    achievableIntervalMinutes: env.dynamicSyncIntervalMs / 60_000,
  };
}
