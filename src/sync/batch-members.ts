import { NOTES, type SentBatch } from '../../db/queries/sync-batch.ts';
import type { Person } from './member-record.ts';
import { parseRows } from './people-block.ts';

/** One person of a batch that is being sent. */
export interface BatchMember extends Person {
  /** Place in the batch. */
  index: number;
  /** On the list already: only the profile's userId is written. */
  onList: boolean;
}

export function batchMembers({ people, notes }: Pick<SentBatch, 'people' | 'notes'>): BatchMember[] {
  return parseRows(people).map(([distinctId, email, userId], index) => ({
    distinctId,
    email,
    userId,
    index,
    onList: notes?.[index] === NOTES.resent,
  }));
}
