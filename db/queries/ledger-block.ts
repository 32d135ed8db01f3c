import { type RawBuilder, sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { SyncBatchRow } from '../tables.ts';

/** A position in the batches of a run is the batch's number times this, plus the place in it, from 1. */
const PLACES_PER_BATCH = 65_536;
/** A batch is some 100 kB, and all of a statement's are in memory at once. */
const BATCHES_PER_STATEMENT = 32;

export type LedgerBlock = Pick<
  SyncBatchRow,
  'number' | 'size' | 'people' | 'notes' | 'refused' | 'settled_at'
>;

/** Somebody in a block: distinct_id, e-mail and userId. */
export type BlockPerson = [string | null, string | null, string | null];

export interface Place {
  index: number;
  person: BlockPerson;
  /** Unique within the run, and grows. */
  position: number;
}

/**
 * Reads the batches of runs that meet a condition, the next of each run in one statement, until every run has as many
 * rows as it wants or no batch is left. `toRow` gives undefined for somebody who is no row.
 */
export async function readPlaces<Row>(
  db: Db,
  wishes: readonly { runId: string; after: number; limit: number }[],
  condition: RawBuilder<boolean>,
  toRow: (block: LedgerBlock, place: Place, runId: string) => Row | undefined,
): Promise<Map<string, Row[]>> {
  const found = new Map<string, Row[]>(wishes.map(({ runId }) => [runId, []]));
  let open = wishes.filter(({ limit }) => limit > 0);
  while (open.length > 0) {
    const next: typeof open = [];
    for (let from = 0; from < open.length; from += BATCHES_PER_STATEMENT) {
      const group = open.slice(from, from + BATCHES_PER_STATEMENT);
      const blocks = await nextBlocks(db, group, condition);
      for (const wish of group) {
        const block = blocks.get(wish.runId);
        if (!block) continue;
        const rows = found.get(wish.runId)!;
        fill(rows, block, wish, toRow);
        if (rows.length < wish.limit) next.push({ ...wish, after: (block.number + 1) * PLACES_PER_BATCH });
      }
    }
    open = next;
  }
  return found;
}

function fill<Row>(
  rows: Row[],
  block: LedgerBlock,
  { runId, after, limit }: { runId: string; after: number; limit: number },
  toRow: (block: LedgerBlock, place: Place, runId: string) => Row | undefined,
): void {
  const people = JSON.parse(block.people) as BlockPerson[];
  const start = block.number * PLACES_PER_BATCH;
  for (let index = Math.max(0, after - start); index < people.length && rows.length < limit; index++) {
    const row = toRow(block, { index, person: people[index]!, position: start + index + 1 }, runId);
    if (row !== undefined) rows.push(row);
  }
}

/** The next batch of each run. */
async function nextBlocks(
  db: Db,
  wishes: readonly { runId: string; after: number }[],
  condition: RawBuilder<boolean>,
): Promise<Map<string, LedgerBlock>> {
  const { rows } = await sql<LedgerBlock & { run_id: string }>`
    select wish.run_id, block.*
    from unnest(
      ${wishes.map(({ runId }) => runId)}::bigint[],
      ${wishes.map(({ after }) => Math.floor(after / PLACES_PER_BATCH))}::int[]
    ) as wish (run_id, number)
    cross join lateral (
      select number, size, people, notes, refused, settled_at from sync_batches
      where sync_batches.run_id = wish.run_id and sync_batches.number >= wish.number and ${condition}
      order by number limit 1
    ) as block`.execute(db);
  return new Map(rows.map(({ run_id, ...block }) => [run_id, block]));
}
