import type { RejectionReason } from '../../db/values.ts';
import type { Identity } from './identity.ts';

/** What is known of one person. */
export interface Person {
  distinctId: string | null;
  email: string | null;
  userId: string | null;
}

/** Members of a page as the plan needs them, column by column: objects of a million people would cost more than all else. */
export interface MemberColumns {
  readonly distinctIds: readonly string[];
  readonly identities: readonly Identity[];
  /** Hashes of the Iterable identities, or of the distinct_id for somebody who has none; KEY_BYTES each. */
  readonly keys: Buffer;
  /** Of the distinct_ids, to find repeated ones. */
  readonly distinctIdFingerprints: Float64Array;
  /** Of all that is known of a person: as long as it is the same, nothing is to be done. */
  readonly fingerprints: Float64Array;
}

const LOCAL_REASONS: readonly (RejectionReason | undefined)[] = [
  undefined,
  'MISSING_EMAIL',
  'INVALID_EMAIL',
  'MISSING_USER_ID',
  'INVALID_USER_ID',
];
/** 128 bits; in a string, a character is a byte. */
export const KEY_BYTES = 16;
export const FINGERPRINT_BYTES = 8;
/** length, reason, distinctIdFingerprint, order; then key and fingerprint, and the row. */
const KEY_AT = 4 + 1 + 8 + 8;
const FINGERPRINT_AT = KEY_AT + KEY_BYTES;
const ROW_AT = FINGERPRINT_AT + FINGERPRINT_BYTES;

/** The most bytes that writeRecord may need. */
export function maxRecordBytes({ distinctIds, identities }: MemberColumns, index: number): number {
  const { email, userId } = identities[index]!;
  return ROW_AT + maxRowBytes(distinctIds[index], email, userId);
}

/** Writes the record of one member and returns its length in bytes. order: their place in the source. */
export function writeRecord(
  buffer: Buffer,
  start: number,
  columns: MemberColumns,
  index: number,
  order: number,
): number {
  const { keys } = columns;
  const identity = columns.identities[index]!;
  buffer[start + 4] = identity.kind === 'rejected' ? LOCAL_REASONS.indexOf(identity.reason) : 0;
  buffer.writeDoubleLE(columns.distinctIdFingerprints[index]!, start + 5);
  buffer.writeDoubleLE(order, start + 13);
  copyBytes(keys, index * KEY_BYTES, (index + 1) * KEY_BYTES, buffer, start + KEY_AT);
  buffer.writeDoubleLE(columns.fingerprints[index]!, start + FINGERPRINT_AT);
  const end = writeRow(buffer, start + ROW_AT, columns.distinctIds[index], identity.email, identity.userId);
  buffer.writeUInt32LE(end - start, start);
  return end - start;
}

/** Reads records where they lie: what is not asked for is not decoded. Offsets come from offsetsOf. */
export const readRecord = {
  /** Where the bytes of the key begin. */
  keyAt: (at: number): number => at + KEY_AT,
  key: (buffer: Buffer, at: number): string => buffer.toString('latin1', at + KEY_AT, at + FINGERPRINT_AT),
  reason: (buffer: Buffer, at: number): RejectionReason | undefined => LOCAL_REASONS[buffer[at + 4]!],
  distinctIdFingerprint: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + 5),
  order: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + 13),
  fingerprint: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + FINGERPRINT_AT),
  /** Where its bytes begin. */
  fingerprintAt: (at: number): number => at + FINGERPRINT_AT,
  /** Where the row of the person begins and ends, as writeRow has written it. */
  rowAt: (at: number): number => at + ROW_AT,
  rowEnd: (buffer: Buffer, at: number): number => at + buffer.readUInt32LE(at),
  person(buffer: Buffer, at: number): Person & { distinctId: string } {
    const row = buffer.toString('utf8', at + ROW_AT, readRecord.rowEnd(buffer, at));
    const [distinctId, email, userId] = JSON.parse(row) as [string, string | null, string | null];
    return { distinctId, email, userId };
  },
};

/** Where each record of a partition begins. */
export function offsetsOf(buffer: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < buffer.length; at += buffer.readUInt32LE(at)) offsets.push(at);
  return offsets;
}

/** For the few bytes of one person Buffer's own copy takes longer. */
export function copyBytes(from: Buffer, start: number, end: number, to: Buffer, at: number): void {
  for (let index = start; index < end; index++) to[at + index - start] = from[index]!;
}

/** So does its write. Of a longer text the first KEY_BYTES characters. */
export function writeKey(buffer: Buffer, at: number, key: string): void {
  for (let index = 0; index < KEY_BYTES; index++) buffer[at + index] = key.charCodeAt(index);
}

type Text = string | null | undefined;

/** The most bytes that writeRow may need: JSON may take six for one UTF-16 unit. */
export function maxRowBytes(distinctId: Text, email: Text, userId: Text): number {
  return 32 + 6 * ((distinctId?.length ?? 0) + (email?.length ?? 0) + (userId?.length ?? 0));
}

const OPENING = 0x5b;
const CLOSING = 0x5d;
const COMMA = 0x2c;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const NULL = Buffer.from('null');
const NOT_PLAIN = -1;

/** Writes [distinctId, email, userId] as JSON, which is how blocks keep people, and returns where it ends. */
export function writeRow(buffer: Buffer, start: number, distinctId: Text, email: Text, userId: Text): number {
  const middle = writePlain(buffer, start, OPENING, distinctId);
  let end = writePlain(buffer, middle, COMMA, email);
  end =
    userId === distinctId
      ? writeAgain(buffer, start + 1, middle, end)
      : writePlain(buffer, end, COMMA, userId);
  if (end !== NOT_PLAIN) {
    buffer[end] = CLOSING;
    return end + 1;
  }
  // PostgreSQL's json takes no half of a surrogate pair.
  const row = [distinctId, email, userId].map((text) => text?.toWellFormed() ?? null);
  return start + buffer.write(JSON.stringify(row), start, 'utf8');
}

/** What lies there already, after a comma: quicker than to write it anew. */
function writeAgain(buffer: Buffer, from: number, to: number, end: number): number {
  if (end === NOT_PLAIN) return NOT_PLAIN;
  buffer[end] = COMMA;
  copyBytes(buffer, from, to, buffer, end + 1);
  return end + 1 + to - from;
}

/** Text that is spelt alike in JSON, after one byte of punctuation. Returns where it ends, NOT_PLAIN if it is not such. */
function writePlain(buffer: Buffer, start: number, before: number, text: Text): number {
  if (start === NOT_PLAIN) return NOT_PLAIN;
  let end = start;
  buffer[end++] = before;
  if (text === undefined || text === null) {
    copyBytes(NULL, 0, NULL.length, buffer, end);
    return end + NULL.length;
  }
  buffer[end++] = QUOTE;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x20 || unit > 0x7e || unit === QUOTE || unit === BACKSLASH) return NOT_PLAIN;
    buffer[end++] = unit;
  }
  buffer[end++] = QUOTE;
  return end;
}
