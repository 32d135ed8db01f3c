import { decimal, isJsonObject, parseJson, stringifyJson } from '../json.ts';
import { exceedsBounds } from '../sync/json-bounds.ts';
import { isPlaceholder } from '../sync/placeholder.ts';
import { readEventTime } from './event-time.ts';
import { toUuid } from './to-uuid.ts';

/** One event of Iterable's system webhook. */
export interface MessagingEvent {
  /** The same for every repeat of the event: 128 bits as a uuid, which Mixpanel's $insert_id takes as it is. */
  insertId: string;
  name: string;
  /** Its own time, never later than that of its receipt, which stands for it when it has none. */
  at: Date;
  /** In lower case. */
  email: string | null;
  /** Null also for a placeholder. */
  userId: string | null;
  campaignId: string | null;
  campaignName: string | null;
  dataFields: Readonly<Record<string, unknown>>;
}

/** The message says what is wrong; it names no person. */
export class EventUnusableError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EventUnusableError';
  }
}

/** Iterable's userIds have 52 characters at most, addresses 320; longer ones are nobody's. */
const MAX_IDENTIFIER_LENGTH = 320;
const MAX_NAME_LENGTH = 255;
/**
 * Iterable's events have some dozens of values, nested a handful deep; a long order has some thousands. What is deeper than the
 * stack could not be made JSON again, and a batch of events with this many values each takes some 100 MB for a moment.
 */
const BOUNDS = { maxNodes: 20_000, maxDepth: 100 };

/** The body as text, once it is sure that readEvent will take it. Throws EventUnusableError. */
export function checkEvent(body: Buffer): string {
  const fault = findBoundsFault(body);
  if (fault !== undefined) throw new EventUnusableError(fault);
  let text: string;
  let json: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    json = parseJson(text);
  } catch {
    throw new EventUnusableError('The body is not JSON in UTF-8.');
  }
  if (!isJsonObject(json)) throw new EventUnusableError('The body is no JSON object: send one event a call.');
  const { eventName, dataFields } = json;
  if (typeof eventName !== 'string' || eventName.trim() === '') {
    throw new EventUnusableError('eventName: must be a text that is not empty.');
  }
  if (eventName.length > MAX_NAME_LENGTH) {
    throw new EventUnusableError(`eventName: must have at most ${MAX_NAME_LENGTH} characters.`);
  }
  if (dataFields != null && !isJsonObject(dataFields)) {
    throw new EventUnusableError('dataFields: must be an object.');
  }
  return text;
}

/** Of a body that is not parsed yet; undefined within the bounds. */
export function findBoundsFault(body: Uint8Array): string | undefined {
  const exceeded = exceedsBounds(body, BOUNDS);
  if (exceeded === 'DEPTH') return `The body is nested deeper than ${BOUNDS.maxDepth} levels.`;
  if (exceeded === 'NODES') return `The body has more than ${BOUNDS.maxNodes} values.`;
  return undefined;
}

/** Reads what checkEvent has taken. Pure. */
export function readEvent(body: string, receivedAt: Date): MessagingEvent {
  const json = parseJson(body) as Record<string, unknown>;
  const dataFields = isJsonObject(json.dataFields) ? json.dataFields : {};
  const name = clean(json.eventName as string);
  const email = (readText(json.email) ?? readText(dataFields.email))?.toLowerCase() ?? null;
  const userId =
    [json.userId, dataFields.userId].map(readText).find((id) => id !== undefined && !isPlaceholder(id)) ??
    null;
  const createdAt = dataFields.createdAt ?? json.createdAt;
  const messageId = readText(dataFields.messageId);
  // Without both nothing less than all of it tells two events apart.
  const identity =
    messageId === undefined || createdAt == null
      ? canonical(json)
      : canonical([
          name,
          messageId,
          userId ?? email,
          createdAt,
          dataFields.linkUrl ?? dataFields.url ?? dataFields.clickedUrl ?? null,
          [dataFields.emailListIds, dataFields.channelIds, dataFields.messageTypeIds],
        ]);
  return {
    insertId: toUuid(identity),
    name,
    at: readEventTime(createdAt, receivedAt),
    email,
    userId,
    campaignId: readText(dataFields.campaignId) ?? null,
    campaignName: readText(dataFields.campaignName) ?? null,
    dataFields,
  };
}

/** JSON with the names of objects in order: a repeat may be spelt anew. */
function canonical(value: unknown): string {
  return stringifyJson(inOrder(value));
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (!isJsonObject(value)) return value;
  const entries = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(entries.map(([name, inner]) => [name, inOrder(inner)]));
}

/** Undefined for what is empty or no identifier. */
function readText(value: unknown): string | undefined {
  const isNumber = typeof value === 'number' || typeof value === 'bigint';
  const text = (isNumber ? decimal(value) : typeof value === 'string' ? value.trim() : '') ?? '';
  return text === '' || text.length > MAX_IDENTIFIER_LENGTH ? undefined : clean(text);
}

/** PostgreSQL's text cannot hold NUL, and UTF-8 no half of a surrogate pair. */
function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}
