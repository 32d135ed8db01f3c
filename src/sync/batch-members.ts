import { NOTES, type SentBatch } from '../../db/queries/sync-batch.ts';
import type { Person } from './member-record.ts';
import { decodePeople } from './people-block.ts';

/** One person of a batch that is being sent. */
export interface BatchMember extends Person {
  /** Place in the batch. */
  index: number;
  /** On the list already: only the profile's userId is written. */
  onList: boolean;
}

export function batchMembers({ people, notes }: Pick<SentBatch, 'people' | 'notes'>): BatchMember[] {
  return decodePeople(people).map((person, index) => ({
    ...person,
    index,
    onList: notes?.[index] === NOTES.resent,
  }));
}
