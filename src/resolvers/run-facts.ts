import type { SyncRunRow } from '../../db/tables.ts';
import type { WaitReason } from '../../db/values.ts';
import { countPeople } from '../sync/count-people.ts';

export { noticesOf } from '../sync/run-notices.ts';

/** What a run waits for: somebody who executes it, or it itself. */
export type RunWaitReason = WaitReason | 'WORKER' | 'APPROVAL';

export interface RunWait {
  reason: RunWaitReason;
  message: string;
  /** Null when nobody knows. */
  until: Date | null;
}

type WaitingRun = Pick<SyncRunRow, 'status' | 'pending_removals' | 'wait_reason' | 'wait_until'>;

const MESSAGES: Record<WaitReason, string> = {
  QUERY_QUOTA: 'The queries that Mixpanel allows in an hour are used up; the run goes on when there is one.',
  DESTINATION_TURN: "Iterable's limits let this run's next request go after those of others.",
  SOURCE_BEING_APPLIED: 'What Mixpanel pushed of the cohort is being applied; the run reads it then.',
  RETRY: 'A partner did not answer, or asked for a pause; the request is made again.',
};

/** Null for a run that is over, and for one that goes on. Pure. */
export function waitOf(run: WaitingRun): RunWait | null {
  const { status, wait_reason: reason, wait_until: until } = run;
  if (status === 'AWAITING_APPROVAL') {
    const message = `The removal of ${countPeople(run.pending_removals)} waits for approveRemovals or discardRemovals.`;
    return { reason: 'APPROVAL', message, until: null };
  }
  if (reason !== null) return { reason, message: MESSAGES[reason], until };
  if (status !== 'QUEUED') return null;
  return { reason: 'WORKER', message: 'The run waits for a worker that is free.', until: null };
}
