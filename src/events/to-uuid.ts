import { createHash } from 'node:crypto';

/** 128 bits of the SHA-256 of a text, as a uuid: what tells events apart, and people. */
export function toUuid(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20, 32)}`;
}
