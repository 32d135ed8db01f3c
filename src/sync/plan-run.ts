import type { Db } from '../../db/connect.ts';
import { countListed, insertListBlock, MARKS } from '../../db/queries/list-block.ts';
import {
  closeRejections,
  hasOpenRejections,
  insertRejections,
  loadOpenRejections,
} from '../../db/queries/rejection.ts';
import { deletePlannedBatches, insertBatch, NOTES } from '../../db/queries/sync-batch.ts';
import type { BatchKind, IterableProjectType } from '../../db/tables.ts';
import { changePlaces } from './change-places.ts';
import type { CollectedMembers } from './collect-members.ts';
import { rangeOf } from './key-range.ts';
import { type ListedPeople, loadListedPeople, partsFor } from './listed-people.ts';
import { type BlockPerson, encodePeople } from './people-block.ts';
import { listMet, type OpenRejection, planPartition } from './plan-partition.ts';
import { readPeople } from './read-people.ts';

/** Iterable takes bodies of up to 4,000,000 bytes; the rest is room for the names around the values. */
const MAX_BATCH_BYTES = 3_000_000;
/** People who leave are read this many at a time. */
const LEAVERS_AT_A_TIME = 5_000;

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
  projectType: IterableProjectType;
  /** Undefined: nobody qualifies, the list is to be emptied. */
  members: CollectedMembers | undefined;
  /** Whom the members were compared with while they were read; undefined: with nobody yet. */
  listed: ListedPeople | undefined;
  batchSize: number;
  /** People on the list who are compared at a time. */
  peopleInMemory: number;
  now: Date;
  /** Told the share of the work that is done, 0 to 1. */
  onProgress: (share: number) => void;
}

/**
 * Writes the run's journal and the rejections that the plan found. db must be a transaction: a plan that breaks off
 * leaves nothing. Nothing is written when nothing changed. Memory is bounded by one part of the list and one range of
 * keys.
 */
export async function planRun(db: Db, input: PlanInput): Promise<PlannedCounts> {
  const { exportId, members } = input;
  await deletePlannedBatches(db, input.runId);
  const journal = createJournal(db, input);
  const counts: PlannedCounts = {
    members: members?.unique ?? 0,
    unchanged: members?.matched ?? 0,
    rejected: 0,
    toSend: 0,
    toRemove: 0,
  };
  const people = await countListed(db, exportId);
  const partitions = members?.partitions ?? 1;
  const parts =
    input.listed?.part.parts ??
    Math.min(partsFor(people, input.peopleInMemory), members ? partitions : Number.POSITIVE_INFINITY);
  const hasRejections = await hasOpenRejections(db, exportId);
  for (let part = 0; part < parts; part++) {
    const listed =
      part === 0 && input.listed
        ? input.listed
        : await loadListedPeople(db, exportId, { index: part, parts });
    const perPart = Math.max(1, partitions / parts);
    for (let partition = part * perPart; members && partition < (part + 1) * perPart; partition++) {
      await planRange(db, input, { partition, partitions, listed, hasRejections, journal, counts });
      input.onProgress((partition + 1) / partitions);
    }
    if (!members && hasRejections) await closeAllRejections(db, input, part, parts);
    await planLeavers(db, listed, journal, counts);
  }
  await journal.end();
  return counts;
}

interface RangePlan {
  partition: number;
  partitions: number;
  listed: ListedPeople;
  hasRejections: boolean;
  journal: Journal;
  counts: PlannedCounts;
}

async function planRange(db: Db, input: PlanInput, range: RangePlan): Promise<void> {
  const { exportId, runId, now, projectType } = input;
  const { listed, counts, journal } = range;
  const { buffer, offsets } = await input.members!.read(range.partition);
  const keys = rangeOf(range.partition, range.partitions);
  const rejections = range.hasRejections
    ? ((await loadOpenRejections(db, exportId, keys)) as OpenRejection[])
    : [];
  if (offsets.length === 0 && rejections.length === 0) return;
  const known = await readPeople(db, listed, listMet({ buffer, offsets, listed }));
  const personOf = (number: number) => known.get(number)!;
  const plan = planPartition({ projectType, buffer, offsets, listed, personOf, rejections, now });
  await insertRejections(db, { exportId, runId, at: now }, plan.newRejections);
  await closeRejections(db, runId, plan.closedRejections);
  for (const person of plan.additions) await journal.add('ADD', person);
  for (const person of plan.restated) await journal.restate(person);
  await changePlaces(
    db,
    plan.vacated.map((place) => ({ place, change: 'leave' })),
  );
  counts.unchanged += plan.unchanged;
  counts.rejected += plan.stillRejected + plan.newRejections.length;
  counts.toSend += plan.additions.length;
}

/** A list that is emptied has no members, and so nobody who is rejected. */
async function closeAllRejections(db: Db, input: PlanInput, part: number, parts: number): Promise<void> {
  const open = await loadOpenRejections(db, input.exportId, rangeOf(part, parts));
  await closeRejections(
    db,
    input.runId,
    open.map(({ id }) => id),
  );
}

/** Everybody on the list whom no member turned out to be. */
async function planLeavers(
  db: Db,
  listed: ListedPeople,
  journal: Journal,
  counts: PlannedCounts,
): Promise<void> {
  let numbers: number[] = [];
  async function remove() {
    const known = await readPeople(db, listed, numbers);
    for (const number of numbers) {
      const person = known.get(number)!;
      // Only people whom no run of ours has put there have no distinct_id.
      const note = person.distinctId === null ? NOTES.drift : 0;
      const place = listed.placeOf(number);
      await journal.add('REMOVE', { ...person, key: listed.keyOf(number), fingerprint: 0, note, place });
    }
    counts.toRemove += numbers.length;
    numbers = [];
  }
  const vacated: number[] = [];
  for (let number = 0; number < listed.count; number++) {
    if (listed.isSeen(number)) continue;
    if ((listed.marksOf(number) & MARKS.missing) !== 0) vacated.push(number);
    else if (numbers.push(number) === LEAVERS_AT_A_TIME) await remove();
  }
  await remove();
  await changePlaces(
    db,
    vacated.map((number) => ({ place: listed.placeOf(number), change: 'leave' })),
  );
}

interface Journal {
  add(kind: BatchKind, person: BlockPerson): Promise<void>;
  restate(person: BlockPerson): Promise<void>;
  end(): Promise<void>;
}

/** Cuts people into batches and writes them; people who are known by something else now are written at once. */
function createJournal(db: Db, input: PlanInput): Journal {
  const open: Record<BatchKind | 'LISTED', { people: BlockPerson[]; bytes: number }> = {
    REMOVE: { people: [], bytes: 0 },
    ADD: { people: [], bytes: 0 },
    LISTED: { people: [], bytes: 0 },
  };
  let number = 0;

  async function cut(kind: BatchKind | 'LISTED') {
    const { people } = open[kind];
    if (people.length === 0) return;
    open[kind] = { people: [], bytes: 0 };
    const encoded = encodePeople(people);
    if (kind !== 'LISTED') {
      await insertBatch(db, input, { number: number++, kind, ...encoded });
      return;
    }
    await changePlaces(
      db,
      people.map((person) => ({ place: person.place!, change: 'leave' })),
    );
    await insertListBlock(db, input.exportId, encoded, input.now);
  }

  async function add(kind: BatchKind | 'LISTED', person: BlockPerson) {
    const bytes = 3 * ((person.email?.length ?? 0) + (person.userId?.length ?? 0)) + 32;
    if (open[kind].bytes + bytes > MAX_BATCH_BYTES) await cut(kind);
    open[kind].people.push(person);
    open[kind].bytes += bytes;
    if (open[kind].people.length >= input.batchSize) await cut(kind);
  }

  return {
    add,
    restate: (person) => add('LISTED', person),
    async end() {
      await cut('REMOVE');
      await cut('ADD');
      await cut('LISTED');
    },
  };
}
