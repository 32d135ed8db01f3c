import { decimal } from '../../../json.ts';
import { parseAnswer } from '../../partner-http.ts';
import type { SourceMember } from '../source.ts';
import { MixpanelUnexpectedAnswerError } from './errors.ts';

export interface MembersAnswer {
  sessionId: string;
  pageSize: number;
  /** People of the whole query; some answers give it on the first page only. */
  total: number | null;
  members: SourceMember[];
  /** Rows that name nobody. */
  unreadable: number;
}

/**
 * A page of engage. The rows, a million of them in a large cohort, are read where they lie in the bytes as long as they are
 * spelt as usual; anything else is left to JSON.parse, with the same result. By hand also after that: a schema would cost
 * more than all else that is done for each person. Throws SyntaxError, and MixpanelUnexpectedAnswerError.
 */
export function readPage(bytes: Buffer): MembersAnswer {
  const rows = scanRows(bytes);
  if (rows === undefined) return readAnswer(parseAnswer(bytes));
  const rest = Buffer.concat([bytes.subarray(0, rows.start), bytes.subarray(rows.end)]);
  return { ...readAnswer(parseAnswer(rest)), members: rows.members };
}

function readAnswer(answer: unknown): MembersAnswer {
  if (typeof answer !== 'object' || answer === null) throw unexpected('the body is no object');
  const { results, session_id, page_size, total } = answer as Record<string, unknown>;
  if (!Array.isArray(results)) throw unexpected('results is no array');
  if (typeof session_id !== 'string') throw unexpected('session_id is no string');
  if (typeof page_size !== 'number' || page_size < 1) throw unexpected('page_size is no number');
  return {
    sessionId: session_id,
    pageSize: page_size,
    total: typeof total === 'number' ? total : null,
    ...readMembers(results),
  };
}

function readMembers(results: unknown[]): Pick<MembersAnswer, 'members' | 'unreadable'> {
  const members = results.map(readMember).filter((member) => member !== undefined);
  return { members, unreadable: results.length - members.length };
}

/** Undefined for a row without a $distinct_id that can be used. */
function readMember(result: unknown): SourceMember | undefined {
  const { $distinct_id: id, $properties } = (result ?? {}) as Record<string, unknown>;
  const distinctId = typeof id === 'number' || typeof id === 'bigint' ? decimal(id) : id;
  if (typeof distinctId !== 'string' || distinctId.trim() === '') return undefined;
  const properties = ($properties ?? {}) as Record<string, unknown>;
  return {
    distinctId,
    email: properties.$email,
    userId: properties.$iterable_user_id,
  };
}

function unexpected(what: string): MixpanelUnexpectedAnswerError {
  return new MixpanelUnexpectedAnswerError(
    `Mixpanel answered something else than its documentation says: engage: ${what}.`,
  );
}

const code = (character: string) => character.charCodeAt(0);
const [BLANK, QUOTE, BACKSLASH, COLON, COMMA] = [code(' '), code('"'), code('\\'), code(':'), code(',')];
const [OPEN_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [code('['), code('{'), code('}')];
const [ZERO, NINE, MINUS, POINT, EXPONENT] = [code('0'), code('9'), code('-'), code('.'), code('e')];
/** More are left to parseJson. */
const MAX_DIGITS = 18;
const RESULTS = Buffer.from('"results"');
const DISTINCT_ID = Buffer.from('$distinct_id');
const PROPERTIES = Buffer.from('$properties');
const EMAIL = Buffer.from('$email');
const USER_ID = Buffer.from('$iterable_user_id');
const NULL = Buffer.from('null');

type Value = string | number | bigint | null;

/** Where a string begins and ends, without its quotation marks; and whether it is all ASCII. */
interface Span {
  start: number;
  end: number;
  isAscii: boolean;
}

/**
 * The members of "results", and where the elements of that array begin and end. Undefined when anything is unusual (an
 * escape, a fraction, another object): then nothing is known, not even that it is JSON.
 */
function scanRows(bytes: Buffer): { start: number; end: number; members: SourceMember[] } | undefined {
  const found = bytes.indexOf(RESULTS);
  if (found < 0 || bytes.indexOf(RESULTS, found + 1) >= 0) return undefined;
  const textOf = createTexts(bytes);
  const span: Span = { start: 0, end: 0, isAscii: true };
  let at = found + RESULTS.length;
  let email: Value | undefined;
  let userId: Value | undefined;

  /** The character, if it comes next. */
  function take(character: number): boolean {
    while (bytes[at] === BLANK) at++;
    if (bytes[at] !== character) return false;
    at++;
    return true;
  }

  /** A string without escapes. */
  function takeString(): boolean {
    if (!take(QUOTE)) return false;
    // In variables of this function alone, which the processor keeps at hand.
    let end = at;
    let seen = 0;
    for (const all = bytes; ; end++) {
      const byte = all[end];
      if (byte === undefined || byte < 0x20 || byte === BACKSLASH) return false;
      if (byte === QUOTE) break;
      seen |= byte;
    }
    span.start = at;
    span.end = end;
    span.isAscii = seen < 0x80;
    at = end + 1;
    return true;
  }

  function isNamed(name: Buffer): boolean {
    if (span.end - span.start !== name.length) return false;
    for (let index = 0; index < name.length; index++) {
      if (bytes[span.start + index] !== name[index]) return false;
    }
    return true;
  }

  /** A whole number that is spelt as usual. */
  function takeWhole(): number | bigint | undefined {
    const start = at;
    if (bytes[at] === MINUS) at++;
    const first = at;
    while (bytes[at]! >= ZERO && bytes[at]! <= NINE) at++;
    const digits = at - first;
    if (digits === 0 || digits > MAX_DIGITS || (bytes[first] === ZERO && digits > 1)) return undefined;
    if (bytes[at] === POINT || (bytes[at]! | 0x20) === EXPONENT) return undefined;
    const text = bytes.toString('latin1', start, at);
    const number = Number(text);
    return Number.isSafeInteger(number) ? number : BigInt(text);
  }

  /** Undefined for anything but a string, a whole number and null. */
  function takeValue(): Value | undefined {
    if (takeString()) return textOf(span);
    const whole = takeWhole();
    if (whole !== undefined) return whole;
    for (let index = 0; index < NULL.length; index++) if (bytes[at++] !== NULL[index]) return undefined;
    return null;
  }

  function takeProperties(): boolean {
    email = undefined;
    userId = undefined;
    if (!take(OPEN_OBJECT)) return false;
    if (take(CLOSE_OBJECT)) return true;
    do {
      if (!takeString() || !take(COLON)) return false;
      const isEmail = isNamed(EMAIL);
      const isUserId = !isEmail && isNamed(USER_ID);
      const value = takeValue();
      if (value === undefined) return false;
      if (isEmail) email = value;
      if (isUserId) userId = value;
    } while (take(COMMA));
    return take(CLOSE_OBJECT);
  }

  function takeMember(): SourceMember | undefined {
    let distinctId: string | undefined;
    email = undefined;
    userId = undefined;
    if (!take(OPEN_OBJECT)) return undefined;
    do {
      if (!takeString() || !take(COLON)) return undefined;
      if (isNamed(PROPERTIES)) {
        if (!takeProperties()) return undefined;
        continue;
      }
      const isDistinctId = isNamed(DISTINCT_ID);
      const value = takeValue();
      if (value === undefined || (isDistinctId && value === null)) return undefined;
      if (isDistinctId) distinctId = String(value);
    } while (take(COMMA));
    if (distinctId === undefined || distinctId.trim() === '') return undefined;
    return take(CLOSE_OBJECT) ? { distinctId, email, userId } : undefined;
  }

  if (!take(COLON) || !take(OPEN_ARRAY)) return undefined;
  const start = at;
  const members: SourceMember[] = [];
  do {
    const member = takeMember();
    if (member === undefined) return undefined;
    members.push(member);
  } while (take(COMMA));
  return { start, end: at, members };
}

/** Below 128 kB, where V8 begins to give each string pages of memory of its own: that costs more than all the rest. */
const TEXT_BYTES = 64 * 1024;

/** Cuts text out of larger pieces, decoded when they are needed: a call for each value would cost twice as much. */
function createTexts(bytes: Buffer): (span: Span) => string {
  const pieces: string[] = [];
  return ({ start, end, isAscii }) => {
    const piece = Math.floor(start / TEXT_BYTES);
    const from = piece * TEXT_BYTES;
    if (!isAscii || end > from + TEXT_BYTES) return bytes.toString('utf8', start, end);
    pieces[piece] ??= bytes.toString('latin1', from, from + TEXT_BYTES);
    return pieces[piece].slice(start - from, end - from);
  };
}
