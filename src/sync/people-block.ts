import type { NewBatch } from '../../db/queries/sync-batch.ts';
import type { Place } from './listed-people.ts';
import {
  copyBytes,
  FINGERPRINT_BYTES,
  KEY_BYTES,
  maxRowBytes,
  type Person,
  readRecord,
  writeKey,
  writeRow,
} from './member-record.ts';

const PLACE_BYTES = 12;
/** Of the people of a usual block. */
const TEXT_BYTES = 96 * 1024;

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

/** The same of a member whose record lies in a buffer: it is copied as it is. */
export interface RecordedPerson extends Pick<BlockPerson, 'note' | 'place'> {
  buffer: Buffer;
  at: number;
}

export type EncodedPeople = Omit<NewBatch, 'number' | 'kind'>;

/** People as sync_batches keeps them. Read by decodePeople and decodePlace, and by loadListedPeople. */
export interface BlockBuilder {
  readonly size: number;
  /** Of the text of the people. */
  readonly bytes: number;
  add(person: BlockPerson | RecordedPerson): void;
  /** All who have been added, somebody at least. It stays as it is until somebody is added after clear(). */
  build(): EncodedPeople;
  /** Nobody has been added. */
  clear(): void;
}

/** capacity: the most people that may be added. Used again and again, because new memory is expensive. */
export function createBlockBuilder(capacity: number): BlockBuilder {
  const keys = Buffer.allocUnsafe(capacity * KEY_BYTES);
  const fingerprints = Buffer.allocUnsafe(capacity * FINGERPRINT_BYTES);
  const notes = Buffer.allocUnsafe(capacity);
  const places = Buffer.allocUnsafe(capacity * PLACE_BYTES);
  let hasNotes = false;
  let hasPlaces = false;
  /** JSON: an opening bracket, and each person with a comma after them. */
  let text = Buffer.allocUnsafe(TEXT_BYTES);
  text[0] = 0x5b;
  let end = 1;
  let size = 0;

  /** For a row of at most so many bytes and its comma. */
  function reserve(bytes: number) {
    if (end + bytes + 1 <= text.length) return;
    const grown = Buffer.allocUnsafe(Math.max(text.length * 2, end + bytes + 1));
    text.copy(grown, 0, 0, end);
    text = grown;
  }

  function addRecord({ buffer, at }: RecordedPerson) {
    const keyAt = readRecord.keyAt(at);
    copyBytes(buffer, keyAt, keyAt + KEY_BYTES, keys, size * KEY_BYTES);
    const fingerprintAt = readRecord.fingerprintAt(at);
    const fingerprintEnd = fingerprintAt + FINGERPRINT_BYTES;
    copyBytes(buffer, fingerprintAt, fingerprintEnd, fingerprints, size * FINGERPRINT_BYTES);
    const rowAt = readRecord.rowAt(at);
    const rowEnd = readRecord.rowEnd(buffer, at);
    reserve(rowEnd - rowAt);
    copyBytes(buffer, rowAt, rowEnd, text, end);
    end += rowEnd - rowAt;
  }

  function addPerson({ distinctId, email, userId, key, fingerprint }: BlockPerson) {
    writeKey(keys, size * KEY_BYTES, key);
    fingerprints.writeDoubleLE(fingerprint, size * FINGERPRINT_BYTES);
    reserve(maxRowBytes(distinctId, email, userId));
    end = writeRow(text, end, distinctId, email, userId);
  }

  return {
    get size() {
      return size;
    },
    get bytes() {
      return end;
    },
    add(person) {
      if ('at' in person) addRecord(person);
      else addPerson(person);
      text[end++] = 0x2c;
      notes[size] = person.note;
      hasNotes ||= person.note !== 0;
      places.writeDoubleLE(Number(person.place?.blockId ?? 0), size * PLACE_BYTES);
      places.writeUInt32LE(person.place?.index ?? 0, size * PLACE_BYTES + 8);
      hasPlaces ||= person.place !== undefined;
      size++;
    },
    build() {
      text[end - 1] = 0x5d;
      return {
        size,
        keys: keys.subarray(0, size * KEY_BYTES),
        fingerprints: fingerprints.subarray(0, size * FINGERPRINT_BYTES),
        people: text.subarray(0, end),
        notes: hasNotes ? notes.subarray(0, size) : null,
        places: hasPlaces ? places.subarray(0, size * PLACE_BYTES) : null,
      };
    },
    clear() {
      hasNotes = false;
      hasPlaces = false;
      end = 1;
      size = 0;
    },
  };
}

/** All of them in one block. */
export function encodePeople(people: readonly BlockPerson[]): EncodedPeople {
  const builder = createBlockBuilder(people.length);
  for (const person of people) builder.add(person);
  return builder.build();
}

/** distinct_id, e-mail and userId. */
type Row = [string | null, string | null, string | null];

export function parseRows(text: string): Row[] {
  return JSON.parse(text);
}

export function toPerson([distinctId, email, userId]: Row): Person {
  return { distinctId, email, userId };
}

export function decodePeople(text: string): Person[] {
  return parseRows(text).map(toPerson);
}

/** Undefined for somebody who has had no place. */
export function decodePlace(places: Buffer | null, index: number): Place | undefined {
  if (!places) return undefined;
  const blockId = places.readDoubleLE(index * PLACE_BYTES);
  if (blockId === 0) return undefined;
  return { blockId: String(blockId), index: places.readUInt32LE(index * PLACE_BYTES + 8) };
}
