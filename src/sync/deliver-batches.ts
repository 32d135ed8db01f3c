import { setTimeout as wait } from 'node:timers/promises';
import type { Db } from '../../db/connect.ts';
import type { RunNotice } from '../../db/json-columns.ts';
import { listOpenBatches, markBatchSent } from '../../db/queries/sync-batch.ts';
import type { BatchKind, IterableProjectType, RejectionReason } from '../../db/values.ts';
import { type BatchMember, batchMembers } from './batch-members.ts';
import { countPeople } from './count-people.ts';
import { type Destination, unexpectedAnswer } from './destination.ts';
import { type Subscriber, toIdentifier, toSubscriber } from './identity.ts';
import type { ListUpdateResult } from './iterable/answers.ts';
import { InvalidListError } from './iterable/errors.ts';
import { RunTakenUp } from './run-outcome.ts';
import type { RunReporter } from './run-reporter.ts';
import { type BatchAnswer, sendBatch } from './send-batch.ts';
import { type SettleContext, settleAddition, settleRemoval } from './settle-batch.ts';
import { additionsUnknown, removalsRefused } from './wrong-project-type.ts';

/** A list that was made moments ago may be unknown to subscribe for about this long (Iterable's client tests). */
const NEW_LIST_PATIENCE_MS = 60_000;
const NEW_LIST_RETRY_MS = 1_000;

/** What a project that goes by e-mail may say of a userId. */
const UNKNOWN_USER_ID: ReadonlySet<RejectionReason> = new Set(['ITERABLE_NOT_FOUND', 'ITERABLE_INVALID']);

export interface Delivery {
  db: Db;
  destination: Destination;
  reporter: RunReporter;
  projectType: IterableProjectType;
  context: Omit<SettleContext, 'now'>;
  now: () => Date;
  listId: string;
  /** When the list was created, by us or whoever; null when nobody knows. */
  listCreatedAt: Date | null;
  concurrency: number;
  /** Told how many people were dealt with. */
  onSettled: (people: number) => void;
}

/**
 * Sends what the journal holds of one kind, several batches at a time, and returns when all of it is answered and
 * written down. Each batch is noted before it leaves and its answer after. When one fails, those under way finish.
 */
export async function deliverBatches(delivery: Delivery, kind: BatchKind): Promise<void> {
  const open = await listOpenBatches(delivery.db, delivery.context.runId, kind);
  let next = 0;
  let failed = false;
  let stayed = 0;
  async function deliverInTurn() {
    while (!failed) {
      const batch = open[next++];
      if (!batch) return;
      try {
        const stayedOfBatch = await deliverOne(delivery, kind, batch.id);
        stayed += stayedOfBatch;
      } catch (error) {
        failed = true;
        throw error;
      }
      delivery.onSettled(batch.size);
    }
  }
  const lanes = Array.from({ length: Math.min(delivery.concurrency, open.length) }, deliverInTurn);
  const results = await Promise.allSettled(lanes);
  if (stayed > 0) delivery.reporter.notice(removalsStay(stayed));
  const failure = results.find((result) => result.status === 'rejected');
  if (failure) throw failure.reason;
}

/** Returns how many people were not removed, and may be the next time. */
async function deliverOne(delivery: Delivery, kind: BatchKind, batchId: string): Promise<number> {
  const { db, reporter, listId } = delivery;
  reporter.halt.throwIfAborted();
  const batch = await markBatchSent(db, reporter.attempt, batchId);
  if (!batch) {
    await reporter.flush();
    throw new RunTakenUp();
  }
  const send = (subscribers: Subscriber[]): Promise<ListUpdateResult> =>
    withPatience(delivery, () =>
      delivery.destination.request('write', (client) =>
        kind === 'ADD' ? client.subscribe(listId, subscribers) : client.unsubscribe(listId, subscribers),
      ),
    );
  const { projectType } = delivery;
  const toSend = kind === 'ADD' ? toSubscriber : toIdentifier;
  const describe = (member: BatchMember) => toSend(projectType, member);
  const answer = await sendBatch({ send, describe }, batchMembers(batch)).catch((error) => {
    throw unexpectedAnswer(error);
  });
  const context = { ...delivery.context, now: delivery.now() };
  if (kind === 'ADD') {
    if (isOfOtherType(delivery, answer)) throw additionsUnknown(batch.size);
    const settled = await settleAddition(db, context, batch, answer);
    if (settled) reporter.add(settled.counts);
    if (settled?.refusedOnList) {
      reporter.notice({
        code: 'OTHER',
        message:
          'Iterable refused the changed userId of some people; they stay on the list with the old one.',
        count: null,
      });
    }
    return 0;
  }
  const settled = await settleRemoval(db, context, batch, answer);
  if (settled) reporter.add(settled.counts);
  if (settled?.isRefusedWhole) throw removalsRefused(batch.size);
  return settled?.stayed ?? 0;
}

function removalsStay(count: number): RunNotice {
  return {
    code: 'REMOVALS_REFUSED',
    message: `Iterable refused to remove ${countPeople(count)}; the next run tries again.`,
    count,
  };
}

/**
 * Whoever is added by userId is made where they are unknown, but for a project that goes by e-mail. One person whose userId Iterable
 * has taken shows that it does not.
 */
function isOfOtherType({ projectType, reporter }: Delivery, { accepted, refused }: BatchAnswer): boolean {
  const { added = 0, unchanged = 0 } = reporter.current;
  const unknown = refused.filter(({ reason }) => UNKNOWN_USER_ID.has(reason));
  const isWhole = unknown.length > 1 && unknown.length === accepted.length + refused.length;
  return projectType !== 'EMAIL' && isWhole && added + unchanged === 0;
}

/** Waits for a new list to become known; not for ever either when the clock is set back meanwhile. */
async function withPatience<T>(delivery: Delivery, send: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  for (;;) {
    try {
      return await send();
    } catch (error) {
      const age = delivery.listCreatedAt
        ? delivery.now().getTime() - delivery.listCreatedAt.getTime()
        : Number.POSITIVE_INFINITY;
      const waitedMs = performance.now() - startedAt;
      if (!(error instanceof InvalidListError) || Math.max(age, waitedMs) > NEW_LIST_PATIENCE_MS) throw error;
      await wait(NEW_LIST_RETRY_MS, undefined, { signal: delivery.reporter.halt });
    }
  }
}
