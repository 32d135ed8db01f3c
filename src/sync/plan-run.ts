import type { Db } from '../../db/connect.ts';
import { listKeptJoiners } from '../../db/queries/held-batch.ts';
import { countListed, MARKS } from '../../db/queries/list-block.ts';
import {
  closeRejections,
  hasOpenRejections,
  insertRejections,
  loadOpenRejections,
} from '../../db/queries/rejection.ts';
import {
  deletePlannedBatches,
  listAddedBatches,
  NOTES,
  nextBatchNumber,
} from '../../db/queries/sync-batch.ts';
import type { IterableProjectType, RejectionReason } from '../../db/values.ts';
import { changePlaces, type PlaceChange } from './change-places.ts';
import type { CollectedMembers } from './collect-members.ts';
import { createJournal, type Journal } from './journal.ts';
import { rangeOf } from './key-range.ts';
import { type ListedPeople, loadListedPeople, type Place, partsFor } from './listed-people.ts';
import { listMet, listPlanned, type OpenRejection, planPartition } from './plan-partition.ts';
import { readPeople } from './read-people.ts';
import { holdRemovals, keepApprovedRemovals, type RemovalGuard } from './removal-guard.ts';

/** People who leave are read this many at a time. */
const LEAVERS_AT_A_TIME = 5_000;

export interface PlannedCounts {
  members: number;
  /** Those whom the run has added already among them. */
  unchanged: number;
  rejected: number;
  rejectedByReason: Map<RejectionReason, number>;
  /** Of the unchanged, those whom the run itself has added: it is planned a second time. */
  addedBefore: number;
  /** People to be sent in additions. */
  toSend: number;
  /** Those of them who are on the list already: only their profile is written. */
  toResend: number;
  /** People who would leave, whether or not their removal is held. */
  toRemove: number;
  /** People whose removal waits for approval. */
  held: number;
  /** People who stay although they do not qualify, because their removal was discarded. */
  kept: number;
  /** On the list when the plan was made. */
  listSize: number;
  /** Number of the plan's first batch. */
  plannedFrom: number;
}

export interface PlanInput {
  runId: string;
  exportId: number;
  projectType: IterableProjectType;
  /** Undefined: nobody qualifies, the list is to be emptied. */
  members: CollectedMembers | undefined;
  /** Undefined: nothing holds removals. */
  guard: RemovalGuard | undefined;
  /** Removals that an earlier plan of the run holds were approved; nobody else is removed. */
  isApproved: boolean;
  /** Whom a discarded removal kept on the list is to leave too. */
  includeKept: boolean;
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
  // Whose removal was approved is known by what is held.
  await deletePlannedBatches(db, input.runId, input.isApproved ? ['PLANNED'] : ['PLANNED', 'HELD']);
  const journal = createJournal(db, input, await nextBatchNumber(db, input.runId));
  try {
    return await writePlan(db, input, journal);
  } catch (error) {
    // Once a batch could not be written, every further statement fails for that alone.
    throw (await journal.failure()) ?? error;
  }
}

async function writePlan(db: Db, input: PlanInput, journal: Journal): Promise<PlannedCounts> {
  const { exportId, members } = input;
  const plannedFrom = journal.nextNumber;
  const people = await countListed(db, exportId);
  const counts: PlannedCounts = {
    members: members?.unique ?? 0,
    unchanged: members?.matched ?? 0,
    rejected: 0,
    rejectedByReason: new Map(),
    addedBefore: 0,
    toSend: 0,
    toResend: 0,
    toRemove: 0,
    held: 0,
    kept: 0,
    listSize: people,
    plannedFrom,
  };
  const isAddedBefore = await findAddedBefore(db, input.runId);
  const partitions = members?.partitions ?? 1;
  const parts =
    input.listed?.part.parts ??
    Math.min(partsFor(people, input.peopleInMemory), members ? partitions : Number.POSITIVE_INFINITY);
  const hasRejections = await hasOpenRejections(db, exportId);
  let listed = input.listed;
  for (let part = 0; part < parts; part++) {
    if (!listed || part > 0) listed = await loadListedPeople(db, exportId, { index: part, parts }, listed);
    const perPart = Math.max(1, partitions / parts);
    for (let partition = part * perPart; members && partition < (part + 1) * perPart; partition++) {
      const range = { partition, partitions, listed, hasRejections, journal, counts, isAddedBefore };
      await planRange(db, input, range);
      input.onProgress((partition + 1) / partitions);
    }
    if (!members && hasRejections) await closeAllRejections(db, input, part, parts);
    for (let number = 0; isAddedBefore && number < listed.count; number++) {
      if (listed.isSeen(number) && isAddedBefore(listed.placeOf(number))) counts.addedBefore++;
    }
    await planLeavers(db, input, listed, journal, counts);
  }
  await journal.end();
  if (counts.kept > 0 && counts.toSend > 0) await planKeptJoiners(db, input, journal, counts);
  const run = { runId: input.runId, journal };
  if (input.isApproved) counts.toRemove = await keepApprovedRemovals(db, run);
  else if (input.guard) {
    const { toRemove: removals, listSize } = counts;
    counts.held = await holdRemovals(db, run, { guard: input.guard, removals, listSize });
  }
  return counts;
}

type IsAddedBefore = (place: Place) => boolean;

/** Tells places of people whom the run itself has added. Undefined when it has added nobody yet. */
async function findAddedBefore(db: Db, runId: string): Promise<IsAddedBefore | undefined> {
  const batches = await listAddedBatches(db, runId);
  if (batches.length === 0) return undefined;
  const notes = new Map(batches.map((batch) => [batch.id, batch.notes]));
  return ({ blockId, index }) => notes.has(blockId) && notes.get(blockId)?.[index] !== NOTES.resent;
}

interface RangePlan {
  partition: number;
  partitions: number;
  listed: ListedPeople;
  hasRejections: boolean;
  journal: Journal;
  counts: PlannedCounts;
  isAddedBefore: IsAddedBefore | undefined;
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
  await journal.add('ADD', listPlanned(buffer, plan.additions));
  await journal.restate(listPlanned(buffer, plan.restated));
  await changePlaces(
    db,
    plan.vacated.map((place) => ({ place, change: 'leave' })),
  );
  await changePlaces(
    db,
    plan.requalified.map((place) => ({ place, change: { clear: MARKS.kept } })),
  );
  counts.unchanged += plan.unchanged;
  for (const reason of [...plan.stillRejected, ...plan.newRejections.map((one) => one.reason)]) {
    counts.rejected++;
    counts.rejectedByReason.set(reason, (counts.rejectedByReason.get(reason) ?? 0) + 1);
  }
  counts.toSend += plan.additions.offsets.length;
  for (const { note, place } of plan.additions.details.values()) {
    // Counted with those who are sent.
    if (place && range.isAddedBefore?.(place)) counts.addedBefore--;
    if (note === NOTES.resent) counts.toResend++;
  }
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
  input: PlanInput,
  listed: ListedPeople,
  journal: Journal,
  counts: PlannedCounts,
): Promise<void> {
  const removesKept = input.includeKept || !input.members;
  let numbers: number[] = [];
  async function remove() {
    const known = await readPeople(db, listed, numbers);
    const leavers = numbers.map((number) => {
      const person = known.get(number)!;
      // Only people whom no run of ours has put there have no distinct_id.
      const note = person.distinctId === null ? NOTES.drift : 0;
      const place = listed.placeOf(number);
      return { ...person, key: listed.keyOf(number), fingerprint: 0, note, place };
    });
    await journal.add('REMOVE', leavers);
    counts.toRemove += numbers.length;
    numbers = [];
  }
  const vacated: number[] = [];
  const unkept: number[] = [];
  for (let number = 0; number < listed.count; number++) {
    const marks = listed.marksOf(number);
    const isMissing = (marks & MARKS.missing) !== 0;
    if (isMissing) counts.listSize--;
    if (listed.isSeen(number)) continue;
    if (isMissing) {
      vacated.push(number);
      continue;
    }
    const isKept = (marks & MARKS.kept) !== 0;
    if (isKept && !removesKept) {
      counts.kept++;
      continue;
    }
    if ((marks & MARKS.refused) !== 0 && input.members) continue;
    if (isKept) unkept.push(number);
    if (numbers.push(number) === LEAVERS_AT_A_TIME) await remove();
  }
  await remove();
  const change = (changed: number[], change: PlaceChange) =>
    changePlaces(
      db,
      changed.map((number) => ({ place: listed.placeOf(number), change })),
    );
  await change(vacated, 'leave');
  await change(unkept, { clear: MARKS.kept });
}

/** Who was kept on the list and qualifies once more, as somebody else, leaves it under the old identity. */
async function planKeptJoiners(
  db: Db,
  { exportId, runId }: PlanInput,
  journal: Journal,
  counts: PlannedCounts,
): Promise<void> {
  const joiners = await listKeptJoiners(db, exportId, runId);
  const leavers = joiners.map(({ blockId, index, key, ...person }) => {
    const place = { blockId, index };
    return { ...person, key: key.toString('latin1'), fingerprint: 0, note: 0, place };
  });
  await journal.add('REMOVE', leavers);
  counts.toRemove += leavers.length;
  await journal.end();
}
