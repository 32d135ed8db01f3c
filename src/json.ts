/** JSON.parse and JSON.stringify of ES2026, as far as the library of TypeScript does not know them yet. */
declare global {
  interface JSON {
    parse(
      text: string,
      reviver: (name: string, value: unknown, context: { source?: string }) => unknown,
    ): unknown;
    rawJSON(text: string): unknown;
  }
}

/** Only then may a number have more digits than a double holds; V8 takes three times as long to tell them one by one. */
const MAY_HAVE_LONG_NUMBERS = /\d{16}/;
/** No identifier is longer, and a bigint takes the square of it. */
const WHOLE = /^-?\d{1,400}$/;

/**
 * JSON.parse that loses no digit: a whole number beyond 2^53 - 1 is a bigint. Throws SyntaxError, and RangeError for what is
 * nested deeper than the stack.
 */
export function parseJson(text: string): unknown {
  return MAY_HAVE_LONG_NUMBERS.test(text) ? JSON.parse(text, toExact) : JSON.parse(text);
}

function toExact(_name: string, value: unknown, { source }: { source?: string }): unknown {
  return typeof value === 'number' && !Number.isSafeInteger(value) && WHOLE.test(source!)
    ? BigInt(source!)
    : value;
}

/** JSON.stringify of what parseJson has made, digit for digit. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_name, inner: unknown) =>
    typeof inner === 'bigint' ? JSON.rawJSON(String(inner)) : inner,
  );
}

/** A number as its decimal string; undefined for a whole number that was written so that digits may have been lost. */
export function decimal(value: number | bigint): string | undefined {
  if (typeof value === 'bigint') return value.toString();
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}
