import { hasBit } from '../../db/bits.ts';
import { MARKS } from '../../db/queries/list-block.ts';
import {
  loadStoryBlocks,
  loadStoryRejections,
  type StoryBlock,
  type StoryRejection,
} from '../../db/queries/member.ts';
import { loadStoryEvents, type StoryMessagingEvent } from '../../db/queries/messaging-event.ts';
import { findUnindexedBlocks, loadSegmentBlocks, loadSegmentParts } from '../../db/queries/people-segment.ts';
import { DRIFT_DETAIL } from '../../db/queries/run-member.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import { NOTES } from '../../db/queries/sync-batch.ts';
import type { MemberOutcome, MessagingState, RejectionReason } from '../../db/values.ts';
import type { Person } from './member-record.ts';
import { decodePeople } from './people-block.ts';
import { decodeEntries, hashOf, hashValue, partOf, placeOf } from './people-segment.ts';

/** One thing that happened to a person: a run did it, or Iterable told of it. */
export interface MemberEvent {
  /** Its place in the story: of two, the one with the larger numbers is the newer. Unique within the story. */
  key: readonly number[];
  at: Date;
  runId: string | null;
  exportId: number | null;
  outcome: MemberOutcome | null;
  reason: RejectionReason | null;
  /** Iterable's name of it. */
  messagingEvent: string | null;
  detail: string | null;
}

/** What is known of somebody, over all lists and runs of a project. */
export interface MemberStory {
  email: string | null;
  userId: string | null;
  distinctIds: string[];
  /** Exports on whose list they are. */
  exportIds: number[];
  /** The newest first. */
  events: MemberEvent[];
}

export type PersonField = keyof Person;

/** One place where the data speak of the person. */
interface Trace {
  person: Person;
  /** In the order of events. */
  key: readonly number[];
  exportId: number | null;
  isListed: boolean;
  /** It holds now: they are on the list by it, or rejected. */
  isCurrent: boolean;
  event: MemberEvent | undefined;
}

const COLUMNS = { distinctId: 'distinct_id', email: 'email', userId: 'user_id' } as const;
const RESENT_DETAIL = 'On the list already; their profile was sent again.';
const WHEREABOUTS: Record<MessagingState, string> = {
  PENDING: 'Waits for Mixpanel.',
  IMPORTED: 'In Mixpanel.',
  REJECTED: 'Not in Mixpanel.',
  ECHO: 'Not sent to Mixpanel.',
};
/** A block is some 100 kB. */
const BLOCKS_PER_QUERY = 32;
/** Within a moment of one run: it rejects, then removes, then adds. */
const RANKS = { REJECTED: 0, REMOVE: 1, ADD: 2, LISTED: 3 } as const;
/** In the place of a run: Iterable's events. */
const NO_RUN = 0;
/** The newest of somebody's events. */
const MAX_MESSAGING_EVENTS = 1_000;

/** What is known of the person whom this field names, as of one moment; undefined when that is nobody. */
export async function readMemberStory(
  { db, projectId }: ProjectScope,
  field: PersonField,
  value: string,
): Promise<MemberStory | undefined> {
  // One snapshot: people move from block to block, and from those that are searched to those that are indexed.
  const transaction = db.transaction().setIsolationLevel('repeatable read').setAccessMode('read only');
  const traces = await transaction.execute(async (trx) => {
    const scope = { db: trx, projectId };
    const found: Trace[] = [];
    for await (const block of findBlocks(scope, value)) found.push(...tracesInBlock(block, field, value));
    const rejections = await loadStoryRejections(scope, COLUMNS[field], value);
    const events = await loadStoryEvents(scope, COLUMNS[field], value, MAX_MESSAGING_EVENTS);
    return [...found, ...rejections.map(traceOfRejection), ...events.map(traceOfEvent)];
  });
  return traces.length === 0 ? undefined : tellStory(traces);
}

async function* findBlocks(scope: ProjectScope, value: string): AsyncGenerator<StoryBlock> {
  const hash = hashValue(value);
  const places: { segmentId: string; place: number }[] = [];
  for (const { id, entries } of await loadSegmentParts(scope.db, [partOf(hash)])) {
    for (const entry of decodeEntries(entries)) {
      if (hashOf(entry) === hash) places.push({ segmentId: id, place: placeOf(entry) });
    }
  }
  const ids = [
    ...(await loadSegmentBlocks(scope.db, places)),
    ...(await findUnindexedBlocks(scope.db, JSON.stringify(value))),
  ];
  for (let from = 0; from < ids.length; from += BLOCKS_PER_QUERY) {
    yield* await loadStoryBlocks(scope, ids.slice(from, from + BLOCKS_PER_QUERY));
  }
}

function tracesInBlock(block: StoryBlock, field: PersonField, value: string): Trace[] {
  const at = block.settled_at;
  return decodePeople(block.people).flatMap((person, index): Trace[] => {
    if (person[field] !== value) return [];
    const isMissing = ((block.marks?.[index] ?? 0) & MARKS.missing) !== 0;
    const isListed = hasBit(block.live, index) && !isMissing;
    const key = [at.getTime(), Number(block.run_id), RANKS[block.kind], Number(block.id), index];
    const told = outcomeIn(block, index);
    // Whoever has left a block whose ledger is gone is nobody any more.
    if (!isListed && !told) return [];
    const event = told && {
      ...told,
      key,
      at,
      runId: block.run_id!,
      exportId: block.export_id,
      reason: null,
      messagingEvent: null,
    };
    return [{ person, key, exportId: block.export_id, isListed, isCurrent: isListed, event }];
  });
}

/** Undefined when the block tells nothing that was done: whom Iterable refused is told of by a rejection. */
function outcomeIn(block: StoryBlock, index: number): Pick<MemberEvent, 'outcome' | 'detail'> | undefined {
  if (block.kind === 'LISTED' || block.state !== 'SETTLED' || hasBit(block.refused, index)) return undefined;
  const note = block.notes?.[index] ?? 0;
  if (note === NOTES.resent) return { outcome: 'UNCHANGED', detail: RESENT_DETAIL };
  const outcome = block.kind === 'ADD' ? 'ADDED' : 'REMOVED';
  return { outcome, detail: note === NOTES.drift ? DRIFT_DETAIL[outcome] : null };
}

function traceOfRejection(rejection: StoryRejection): Trace {
  const { export_id: exportId, rejected_at: at, since_run_id: runId, reason, detail } = rejection;
  const key = [at.getTime(), Number(runId), RANKS.REJECTED, Number(rejection.id), 0];
  // Somebody whom only Iterable's list told of has no distinct_id, and the column no null.
  const distinctId = rejection.distinct_id === '' ? null : rejection.distinct_id;
  return {
    person: { distinctId, email: rejection.email, userId: rejection.user_id },
    key,
    exportId,
    isListed: false,
    isCurrent: rejection.until_run_id === null,
    event: { key, at, runId, exportId, outcome: 'REJECTED', reason, messagingEvent: null, detail },
  };
}

function traceOfEvent({ id, event, at, email, userId, distinctId, ...told }: StoryMessagingEvent): Trace {
  const key = [at.getTime(), NO_RUN, 0, Number(id), 0];
  const detail = [
    told.campaignName && `Campaign: ${told.campaignName}.`,
    WHEREABOUTS[told.state],
    told.detail,
  ];
  return {
    person: { distinctId, email, userId },
    key,
    exportId: null,
    isListed: false,
    isCurrent: false,
    event: {
      key,
      at,
      runId: null,
      exportId: null,
      outcome: null,
      reason: null,
      messagingEvent: event,
      detail: detail.filter((text) => text).join(' '),
    },
  };
}

/** What holds now tells who they are; when nothing does, what was last. */
function tellStory(traces: Trace[]): MemberStory {
  traces.sort((left, right) => compareEventKeys(right.key, left.key));
  const current = traces.filter((trace) => trace.isCurrent);
  const known = current.length > 0 ? current : traces;
  const people = known.map((trace) => trace.person);
  const listed = traces.filter((trace) => trace.isListed);
  return {
    email: people.find((person) => person.email !== null)?.email ?? null,
    userId: people.find((person) => person.userId !== null)?.userId ?? null,
    distinctIds: [...new Set(people.flatMap(({ distinctId }) => distinctId ?? []))],
    exportIds: [...new Set(listed.flatMap((trace) => trace.exportId ?? []))].sort(
      (left, right) => right - left,
    ),
    events: traces.flatMap((trace) => trace.event ?? []),
  };
}

/** Negative when the left one is older. */
export function compareEventKeys(left: readonly number[], right: readonly number[]): number {
  const differs = left.findIndex((part, index) => part !== right[index]);
  return differs < 0 ? 0 : left[differs]! - right[differs]!;
}
