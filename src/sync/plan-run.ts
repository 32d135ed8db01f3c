import type { Db } from '../../db/connect.ts';
import {
  countListed,
  hasListed,
  type ListedRange,
  loadListedMembers,
  loadListedRange,
} from '../../db/queries/list-member.ts';
import {
  closeRejections,
  hasOpenRejections,
  insertRejections,
  loadOpenRejections,
} from '../../db/queries/rejection.ts';
import { deleteBatches, insertBatches, type NewBatch } from '../../db/queries/sync-batch.ts';
import type { BatchKind } from '../../db/tables.ts';
import { type BatchMember, encodeMembers } from './batch-members.ts';
import { type CollectedMembers, partitionsFor } from './collect-members.ts';
import { rangeOf } from './key-range.ts';
import { type ListedPeople, type OpenRejection, planPartition } from './plan-partition.ts';

/** Iterable takes bodies of up to 4,000,000 bytes; the rest is room for the names around the values. */
const MAX_BATCH_BYTES = 3_000_000;
/** Batches that are written to the journal in one statement. */
const BATCHES_PER_INSERT = 16;
const NOBODY: ListedPeople = { keys: Buffer.alloc(0), sentFingerprints: undefined, uncertain: new Set() };

export interface PlannedCounts {
  members: number;
  unchanged: number;
  rejected: number;
  /** People to be sent in additions, those on the list already among them. */
  toSend: number;
  toRemove: number;
}

export interface PlanInput {
  runId: string;
  exportId: number;
  /** Undefined: nobody qualifies, the list is to be emptied. */
  members: CollectedMembers | undefined;
  batchSize: number;
  now: Date;
  /** Told the share of the work that is done, 0 to 1. */
  onProgress: (share: number) => void;
}

/**
 * Writes the run's journal and the rejections that the plan found. db must be a transaction: a plan that breaks off
 * leaves nothing. Nothing is written when nothing changed. Memory is bounded by one range of keys.
 */
export async function planRun(db: Db, input: PlanInput): Promise<PlannedCounts> {
  const { runId, exportId, now } = input;
  const isListEmpty = !(await hasListed(db, exportId));
  const partitions = input.members?.partitions ?? partitionsFor(await countListed(db, exportId));
  const hasRejections = await hasOpenRejections(db, exportId);
  const journal = createJournal(db, runId, input.batchSize);
  const counts: PlannedCounts = {
    members: input.members?.unique ?? 0,
    unchanged: 0,
    rejected: 0,
    toSend: 0,
    toRemove: 0,
  };
  await deleteBatches(db, runId);
  for (let partition = 0; partition < partitions; partition++) {
    const range = rangeOf(partition, partitions);
    const [listed, { buffer, offsets }] = await Promise.all([
      isListEmpty ? NOBODY : loadListedRange(db, exportId, range).then(unpack),
      input.members?.read(partition) ?? { buffer: Buffer.alloc(0), offsets: [] },
    ]);
    const plan = planPartition({
      buffer,
      offsets,
      listed,
      rejections: hasRejections ? ((await loadOpenRejections(db, exportId, range)) as OpenRejection[]) : [],
      now,
    });
    await insertRejections(db, { exportId, runId, at: now }, plan.newRejections);
    await closeRejections(db, runId, plan.closedRejections);
    const leavers = await loadListedMembers(db, exportId, plan.leavers);
    await journal.add(
      'REMOVE',
      leavers.map((leaver) => ({ ...leaver, onList: true })),
    );
    await journal.add('ADD', plan.additions);
    counts.unchanged += plan.unchanged;
    counts.rejected += plan.stillRejected + plan.newRejections.length;
    counts.toSend += plan.additions.length;
    counts.toRemove += leavers.length;
    input.onProgress((partition + 1) / partitions);
  }
  await journal.end();
  return counts;
}

function unpack(range: ListedRange): ListedPeople {
  return {
    keys: Buffer.from(range.keys, 'hex'),
    sentFingerprints: range.fingerprints?.split(',').map(Number),
    uncertain: new Set(range.uncertain),
  };
}

/** Cuts people into batches and writes them in groups. */
function createJournal(db: Db, runId: string, batchSize: number) {
  const open: Record<BatchKind, { members: BatchMember[]; bytes: number }> = {
    REMOVE: { members: [], bytes: 0 },
    ADD: { members: [], bytes: 0 },
  };
  let number = 0;
  let pending: NewBatch[] = [];

  async function write() {
    await insertBatches(db, runId, pending);
    pending = [];
  }

  async function cut(kind: BatchKind) {
    const { members } = open[kind];
    if (members.length === 0) return;
    pending.push({ number: number++, kind, size: members.length, members: encodeMembers(members) });
    open[kind] = { members: [], bytes: 0 };
    if (pending.length >= BATCHES_PER_INSERT) await write();
  }

  return {
    async add(kind: BatchKind, people: BatchMember[]) {
      for (const person of people) {
        const bytes = 3 * ((person.email?.length ?? 0) + (person.userId?.length ?? 0)) + 32;
        if (open[kind].bytes + bytes > MAX_BATCH_BYTES) await cut(kind);
        open[kind].members.push(person);
        open[kind].bytes += bytes;
        if (open[kind].members.length >= batchSize) await cut(kind);
      }
    },
    async end() {
      await cut('REMOVE');
      await cut('ADD');
      await write();
    },
  };
}
