import { isObject } from '../is-object.ts';
import type { ImportedEvent } from './imported-events.ts';

export interface EventFailure {
  insertId: string;
  field: string;
  message: string;
}

export interface EventRules {
  idMerge: 'ORIGINAL' | 'SIMPLIFIED';
  now: number;
  /** May be larger than one record can be. */
  mayBeLarge: boolean;
}

/** Values that Mixpanel takes for no id at all. */
const BANNED = new Set([
  '00000000-0000-0000-0000-000000000000',
  'anon',
  'anonymous',
  'nil',
  'none',
  'null',
  'n/a',
  'na',
  'undefined',
  'unknown',
  '<nil>',
  '0',
  '-1',
  'true',
  'false',
  '[]',
  '{}',
]);

/** Properties of an event, keys of an object, items of an array: there must be fewer. */
const TOO_MANY = 255;
const MAX_DEPTH = 3;
const MAX_RECORD_BYTES = 1_000_000;
const MAX_INSERT_ID_BYTES = 36;
/** 1971-01-01 in seconds, and the same number of milliseconds: what lies between the two is seconds. */
const FIRST_SECOND = 31_536_000;
const FIRST_MILLISECOND = FIRST_SECOND * 1000;

type Fault = { field: string; reason: string } | undefined;

/** What Mixpanel checks of one record of a strict import. */
export function checkEvent(
  record: unknown,
  rules: EventRules,
): { event: ImportedEvent } | { failure: EventFailure } {
  const { event, properties, ...others } = isObject(record) ? record : {};
  if (!isObject(properties)) {
    const reason = properties === undefined ? 'must not be missing' : 'must be an object';
    return fail('', { field: 'properties', reason });
  }
  const { time, $insert_id: insertId } = properties;
  const fault =
    checkName(event) ??
    checkOthers(others) ??
    checkTime(time, rules.now) ??
    checkDistinctId(properties, rules.idMerge) ??
    checkInsertId(insertId) ??
    checkProperties(properties) ??
    (rules.mayBeLarge ? checkBytes(record) : undefined);
  if (fault) return fail(insertId, fault);
  return {
    event: {
      event: event as string,
      time: toMs(time as number),
      distinctId: toDistinctId(properties, rules.idMerge),
      insertId: insertId as string,
      properties,
    },
  };
}

function fail(insertId: unknown, { field, reason }: NonNullable<Fault>): { failure: EventFailure } {
  const message = `'${field}' ${reason}`;
  return { failure: { insertId: typeof insertId === 'string' ? insertId : '', field, message } };
}

function checkName(event: unknown): Fault {
  if (typeof event === 'string' && event.trim() !== '') return undefined;
  return { field: 'event', reason: 'must not be missing or blank' };
}

/** A record is a name and properties. */
function checkOthers(others: Record<string, unknown>): Fault {
  const [field] = Object.keys(others);
  return field === undefined ? undefined : { field, reason: 'is invalid: must be one of the properties' };
}

function checkTime(time: unknown, now: number): Fault {
  const field = 'properties.time';
  if (!Number.isInteger(time) || (time as number) < FIRST_SECOND) {
    return { field, reason: 'is invalid: must be specified as seconds since epoch' };
  }
  // The documentation allows for an hour. Mixpanel was seen not to.
  return toMs(time as number) > now ? { field, reason: 'is invalid: must not be in the future' } : undefined;
}

function checkDistinctId(properties: Record<string, unknown>, idMerge: EventRules['idMerge']): Fault {
  const field = 'properties.distinct_id';
  const { distinct_id: given, $user_id: userId, $device_id: deviceId } = properties;
  if (given === undefined || given === null) {
    const isNeedless = idMerge === 'SIMPLIFIED' && (isFilled(userId) || isFilled(deviceId));
    return isNeedless ? undefined : { field, reason: 'is invalid: must not be missing' };
  }
  if (typeof given !== 'string') return { field, reason: 'is invalid: must be a string' };
  return BANNED.has(given) ? { field, reason: 'is invalid: must not be a banned value' } : undefined;
}

function checkInsertId(given: unknown): Fault {
  const field = 'properties.$insert_id';
  if (given === undefined || given === null || given === '') {
    return { field, reason: 'is invalid: must not be missing' };
  }
  if (typeof given !== 'string') return { field, reason: 'is invalid: must be a string' };
  if (Buffer.byteLength(given) > MAX_INSERT_ID_BYTES) {
    return { field, reason: `is invalid: must not be longer than ${MAX_INSERT_ID_BYTES} bytes` };
  }
  if (BANNED.has(given)) return { field, reason: 'is invalid: must not be a banned value' };
  if (/^[A-Za-z0-9-]+$/.test(given)) return undefined;
  return { field, reason: 'is invalid: must contain only alphanumeric characters or -' };
}

function checkProperties(properties: Record<string, unknown>): Fault {
  const entries = Object.entries(properties);
  if (entries.length >= TOO_MANY) {
    return { field: 'properties', reason: `is invalid: must have fewer than ${TOO_MANY} properties` };
  }
  for (const [name, value] of entries) {
    const reason = checkValue(value, 1);
    if (reason) return { field: `properties.${name}`, reason: `is invalid: ${reason}` };
  }
  return undefined;
}

/** An array is a level as an object is: the documentation does not say that it is none. */
function checkValue(value: unknown, depth: number): string | undefined {
  if (typeof value === 'string') return value.isWellFormed() ? undefined : 'string should be valid utf8';
  if (typeof value !== 'object' || value === null) return undefined;
  if (depth > MAX_DEPTH) return `must not be nested deeper than ${MAX_DEPTH} levels`;
  const inner: unknown[] = Array.isArray(value) ? value : Object.values(value);
  if (inner.length >= TOO_MANY) {
    return `must have fewer than ${TOO_MANY} ${Array.isArray(value) ? 'items' : 'keys'}`;
  }
  for (const one of inner) {
    const reason = checkValue(one, depth + 1);
    if (reason) return reason;
  }
  return undefined;
}

function checkBytes(record: unknown): Fault {
  if (Buffer.byteLength(JSON.stringify(record)) < MAX_RECORD_BYTES) return undefined;
  return { field: 'properties', reason: 'is invalid: event must be smaller than 1MB' };
}

export function toMs(time: number): number {
  return time < FIRST_MILLISECOND ? time * 1000 : time;
}

/** Whose event it is: where identities merge the simple way, $user_id's. */
function toDistinctId(properties: Record<string, unknown>, idMerge: EventRules['idMerge']): string {
  const { distinct_id: given, $user_id: userId, $device_id: deviceId } = properties;
  if (idMerge === 'SIMPLIFIED' && isFilled(userId)) return userId;
  return typeof given === 'string' ? given : `$device:${deviceId}`;
}

export function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
