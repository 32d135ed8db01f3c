/** As Iterable writes it: 2019-08-07 18:56:10 +00:00. Some of its events have ISO 8601. */
const INSTANT = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d(?:\.\d+)?) ?(Z|[+-]\d\d:?\d\d)?$/;
/** Numbers below this are seconds. */
const LEAST_MILLISECONDS = 100_000_000_000;

/** When the event happened, in UTC unless it says otherwise; no later than its receipt, which stands for a time that cannot be read. */
export function readEventTime(createdAt: unknown, receivedAt: Date): Date {
  const ms = typeof createdAt === 'number' ? fromNumber(createdAt) : fromText(createdAt);
  return Number.isNaN(ms) || ms > receivedAt.getTime() ? receivedAt : new Date(ms);
}

/** The month of an instant in UTC: YYYY-MM. */
export function monthOf(at: Date): string {
  return at.toISOString().slice(0, 7);
}

function fromNumber(value: number): number {
  return value < 0 ? Number.NaN : Math.round(value < LEAST_MILLISECONDS ? value * 1000 : value);
}

function fromText(value: unknown): number {
  const [, day, time, zone = 'Z'] = (typeof value === 'string' && INSTANT.exec(value.trim())) || [];
  const offset = zone.replace(/^([+-]\d\d)(\d\d)$/, '$1:$2');
  return Date.parse(`${day}T${time}${offset}`);
}
