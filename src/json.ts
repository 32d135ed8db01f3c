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

/**
 * Only then may a number be another one than is written: 16 characters of digits and points, or an exponent. It looks for where
 * numbers begin, because V8 takes six times as long to tell them one by one.
 */
const MAY_ROUND = /(?:^|[:,[])\s*-?\d(?:[\d.]{15}|[\d.]*e)/i;
/** No identifier is longer, and a bigint takes the square of it. */
const MAX_LENGTH = 400;
const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?(?:e([-+]?\d+))?$/i;
const WHOLE = /^-?\d+$/;

/** What a double makes of a number that it does not give back as it was written: 9007199254740991.4, or 1e400. */
export class RoundedNumber extends Number {}

/**
 * JSON.parse that takes no number for another one: a whole number beyond 2^53 - 1 is a bigint, and what has a
 * fraction, an exponent or very many digits that a double does not give back is a RoundedNumber. Throws SyntaxError, and RangeError for what is nested deeper than the stack.
 */
export function parseJson(text: string): unknown {
  return MAY_ROUND.test(text) ? JSON.parse(text, toExact) : JSON.parse(text);
}

function toExact(_name: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== 'number') return value;
  const written = source!;
  if (written.length > MAX_LENGTH) return new RoundedNumber(value);
  if (WHOLE.test(written)) return Number.isSafeInteger(value) ? value : BigInt(written);
  return normalise(written) === normalise(String(value)) ? value : new RoundedNumber(value);
}

/** The same for every spelling of a number: its digits without the zeros around them, and where the point is. */
function normalise(number: string): string {
  const [, sign, whole, fraction = '', exponent = 0] = DECIMAL.exec(number) ?? [];
  if (whole === undefined) return number;
  const digits = `${whole}${fraction}`.replace(/0+$/, '');
  const first = digits.search(/[1-9]/);
  return first < 0 ? '0' : `${sign}${digits.slice(first)}e${whole.length - first + Number(exponent)}`;
}

/** JSON.stringify of what parseJson has made: whole numbers digit for digit, a RoundedNumber as the double that it is. */
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

/** Neither null nor an array nor a number. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof RoundedNumber)
  );
}
