import { hash } from 'node:crypto';

/** 32 characters, a byte each. The first 16 are the key of the text. */
export function sha256(text: string): string {
  return hash('sha256', text, 'binary');
}

/** The first 128 bits of SHA-256 as 16 characters, a byte each: two people never share one. */
export function hashKey(text: string): string {
  return sha256(text).slice(0, 16);
}

/** A key as PostgreSQL's uuid takes it. */
export function toHex(key: string): string {
  return Buffer.from(key, 'latin1').toString('hex');
}

/**
 * A 53-bit fingerprint (cyrb53 by bryc, public domain): cheap, and good enough to notice that a value changed or
 * to find candidates that are then compared whole. Never an identity.
 */
export function fingerprint(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, 2654435761);
    b = Math.imul(b ^ unit, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}

/** Order of strings by code point, which is not JavaScript's order by UTF-16 unit. */
export function compareByCodePoint(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
