/** With a byte order mark. */
export function utf16(text: string, isBigEndian: boolean): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(`\uFEFF${text}`, 'utf16le');
  return Uint8Array.from(isBigEndian ? bytes.swap16() : bytes);
}

/** With one, too. */
export function utf32(text: string, isBigEndian: boolean): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(
    Uint32Array.from(`\uFEFF${text}`, (character) => character.codePointAt(0)!).buffer,
  );
  return Uint8Array.from(isBigEndian ? bytes.swap32() : bytes);
}

/** A byte for each character. */
export function latin1(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
