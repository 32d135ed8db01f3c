import type { RejectionReason } from '../../db/values.ts';

/** One member as the plan needs them, and how they are laid out in a spill. */
export interface MemberRecord {
  /** Hash of the Iterable identity, or of the distinct_id for somebody who has none. */
  key: string;
  /** Why there is no identity; undefined for everybody who has one. */
  reason: RejectionReason | undefined;
  /** Of the distinct_id, to find repeated ones. */
  distinctIdFingerprint: number;
  /** Of all that is known of the person: as long as it is the same, nothing is to be done. */
  fingerprint: number;
  /** Place in the source. */
  order: number;
  distinctId: string;
  email: string | undefined;
  userId: string | undefined;
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
const ABSENT = 0xffffffff;
/** length, reason, three numbers, key, three lengths. */
const KEY_AT = 4 + 1 + 24;
const LENGTHS_AT = KEY_AT + KEY_BYTES;
const HEADER_BYTES = LENGTHS_AT + 12;

/** The most bytes that writeRecord may need. */
export function maxRecordBytes(record: MemberRecord): number {
  const characters = record.distinctId.length + (record.email?.length ?? 0) + (record.userId?.length ?? 0);
  return HEADER_BYTES + characters * 3;
}

/** Writes one record and returns its length in bytes. */
export function writeRecord(buffer: Buffer, start: number, record: MemberRecord): number {
  buffer[start + 4] = LOCAL_REASONS.indexOf(record.reason);
  buffer.writeDoubleLE(record.distinctIdFingerprint, start + 5);
  buffer.writeDoubleLE(record.fingerprint, start + 13);
  buffer.writeDoubleLE(record.order, start + 21);
  buffer.write(record.key, start + KEY_AT, KEY_BYTES, 'latin1');
  let end = start + HEADER_BYTES;
  const lengths = start + LENGTHS_AT;
  end = writeText(buffer, lengths, end, record.distinctId);
  end = writeText(buffer, lengths + 4, end, record.email);
  end = writeText(buffer, lengths + 8, end, record.userId);
  buffer.writeUInt32LE(end - start, start);
  return end - start;
}

function writeText(buffer: Buffer, lengthAt: number, start: number, text: string | undefined): number {
  if (text === undefined) {
    buffer.writeUInt32LE(ABSENT, lengthAt);
    return start;
  }
  let end = start;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit > 127) {
      end = start + buffer.write(text, start, 'utf8');
      break;
    }
    buffer[end++] = unit;
  }
  buffer.writeUInt32LE(end - start, lengthAt);
  return end;
}

/** Reads records where they lie: what is not asked for is not decoded. Offsets come from offsetsOf. */
export const readRecord = {
  key: (buffer: Buffer, at: number): string => buffer.toString('latin1', at + KEY_AT, at + LENGTHS_AT),
  /** Where the bytes of the key begin. */
  keyAt: (at: number): number => at + KEY_AT,
  reason: (buffer: Buffer, at: number): RejectionReason | undefined => LOCAL_REASONS[buffer[at + 4]!],
  distinctIdFingerprint: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + 5),
  fingerprint: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + 13),
  order: (buffer: Buffer, at: number): number => buffer.readDoubleLE(at + 21),
  distinctId: (buffer: Buffer, at: number): string => readText(buffer, at, 0)!,
  email: (buffer: Buffer, at: number): string | undefined => readText(buffer, at, 1),
  userId: (buffer: Buffer, at: number): string | undefined => readText(buffer, at, 2),
};

function readText(buffer: Buffer, at: number, field: 0 | 1 | 2): string | undefined {
  const lengths = at + LENGTHS_AT;
  const length = buffer.readUInt32LE(lengths + 4 * field);
  if (length === ABSENT) return undefined;
  let start = at + HEADER_BYTES;
  for (let before = 0; before < field; before++) {
    const skipped = buffer.readUInt32LE(lengths + 4 * before);
    if (skipped !== ABSENT) start += skipped;
  }
  return buffer.toString('utf8', start, start + length);
}

/** Where each record of a partition begins. */
export function offsetsOf(buffer: Buffer): number[] {
  const offsets: number[] = [];
  for (let at = 0; at < buffer.length; at += buffer.readUInt32LE(at)) offsets.push(at);
  return offsets;
}
