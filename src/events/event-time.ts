import { RoundedNumber } from '../json.ts';

/** As Iterable writes it: 2019-08-07 18:56:10 +00:00. Some of its events have ISO 8601. */
const INSTANT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|[+-]\d\d:?\d\d)?$/;
/** Numbers below this are seconds. */
const LEAST_MILLISECONDS = 100_000_000_000;
/** Mixpanel takes nothing older. */
const EARLIEST_MS = Date.parse('1971-01-01T00:00:00Z');

/**
 * When the event happened, in UTC unless it says otherwise. The receipt stands for a time that cannot be read, or cannot be:
 * one that is later, or earlier than all messaging.
 */
export function readEventTime(createdAt: unknown, receivedAt: Date): Date {
  const isNumber = typeof createdAt === 'number' || createdAt instanceof RoundedNumber;
  const ms = isNumber ? fromNumber(Number(createdAt)) : fromText(createdAt);
  return ms >= EARLIEST_MS && ms <= receivedAt.getTime() ? new Date(ms) : receivedAt;
}

/** The month of an instant in UTC: YYYY-MM. */
export function monthOf(at: Date): string {
  return at.toISOString().slice(0, 7);
}

/** This month and the twelve before it: of older ones it is not kept who their people were. */
export function oldestMonthOfPeople(now: Date): string {
  return monthOf(new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - 12)));
}

function fromNumber(value: number): number {
  return Math.round(value < LEAST_MILLISECONDS ? value * 1000 : value);
}

function fromText(value: unknown): number {
  const [, day, time, zone = 'Z'] = (typeof value === 'string' && INSTANT.exec(value.trim())) || [];
  const offset = zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
  return Date.parse(`${day}T${time}${offset}`);
}
