import type { NewBatch } from '../../db/queries/sync-batch.ts';
import type { Place } from './listed-people.ts';
import { KEY_BYTES } from './member-record.ts';

const PLACE_BYTES = 12;

/** What is known of one person. */
export interface Person {
  distinctId: string | null;
  email: string | null;
  userId: string | null;
}

/** One person as a block keeps them. */
export interface BlockPerson extends Person {
  /** 16 characters, a byte each. */
  key: string;
  fingerprint: number;
  /** Of NOTES; 0 for the usual. */
  note: number;
  /** Where they stand on the list so far. */
  place: Place | undefined;
}

export type EncodedPeople = Omit<NewBatch, 'number' | 'kind'>;

/** People as sync_batches keeps them. Read by decodePeople and decodePlaces, and by loadListedPeople. */
export function encodePeople(people: readonly BlockPerson[]): EncodedPeople {
  const size = people.length;
  const keys = Buffer.allocUnsafe(size * KEY_BYTES);
  const fingerprints = Buffer.allocUnsafe(size * 8);
  let notes: Buffer | null = null;
  let places: Buffer | null = null;
  for (let index = 0; index < size; index++) {
    const person = people[index]!;
    keys.write(person.key, index * KEY_BYTES, KEY_BYTES, 'latin1');
    fingerprints.writeDoubleLE(person.fingerprint, index * 8);
    if (person.note !== 0) {
      notes ??= Buffer.alloc(size);
      notes[index] = person.note;
    }
    if (person.place) {
      places ??= Buffer.alloc(size * PLACE_BYTES);
      places.writeDoubleLE(Number(person.place.blockId), index * PLACE_BYTES);
      places.writeUInt32LE(person.place.index, index * PLACE_BYTES + 8);
    }
  }
  const rows = people.map(({ distinctId, email, userId }) => [distinctId, email, userId]);
  return { size, keys, fingerprints, people: JSON.stringify(rows), notes, places };
}

export function decodePeople(text: string): Person[] {
  const rows = JSON.parse(text) as [string | null, string | null, string | null][];
  return rows.map(([distinctId, email, userId]) => ({ distinctId, email, userId }));
}

/** Undefined for somebody who has had no place. */
export function decodePlace(places: Buffer | null, index: number): Place | undefined {
  if (!places) return undefined;
  const blockId = places.readDoubleLE(index * PLACE_BYTES);
  if (blockId === 0) return undefined;
  return { blockId: String(blockId), index: places.readUInt32LE(index * PLACE_BYTES + 8) };
}
