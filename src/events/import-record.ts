import type { PendingEvent } from '../../db/queries/messaging-event.ts';
import type { IdMerge } from '../../db/values.ts';
import { isJsonObject, parseJson, stringifyJson } from '../json.ts';

/** Mixpanel takes 254 properties, of which some are ours; objects three deep of 254 names, lists of 254 elements. */
const MAX_PROPERTIES = 240;
const MAX_ELEMENTS = 254;
const MAX_DEPTH = 3;
/** It cuts longer text itself, and silently. */
const MAX_TEXT_LENGTH = 255;

/**
 * Names that mean something else to Mixpanel than to Iterable: $ignore drops the event, bucket, $bucket, $time and $event_name
 * are reserved, and the others are set here. What Iterable says under them is sent as iterable_<name>.
 */
const RESERVED: ReadonlySet<string> = new Set([
  '$ignore',
  'bucket',
  '$bucket',
  '$time',
  '$event_name',
  'time',
  'distinct_id',
  '$distinct_id',
  '$user_id',
  '$device_id',
  '$insert_id',
  '$source',
  'ip',
  '$ip',
  'token',
  '$token',
]);

const DEVICE_PREFIX = '$device:';

/** One element of the body of /import, as JSON. Says the same however often it is made. Pure. */
export function toImportRecord(
  event: Omit<PendingEvent, 'id'>,
  { source, idMerge }: { source: string; idMerge: IdMerge },
): string {
  const { email, user_id: userId, distinct_id: distinctId } = event;
  const properties: Record<string, unknown> = Object.create(null);
  if (email !== null) properties.email = shorten(email, 1);
  if (userId !== null) properties.userId = shorten(userId, 1);
  const data = parseJson(event.data ?? '{}') as Record<string, unknown>;
  for (const [name, value] of Object.entries(data).slice(0, MAX_PROPERTIES)) {
    properties[toName(name)] = shorten(value, 1);
  }
  return stringifyJson({
    event: event.event,
    properties: {
      ...properties,
      time: event.at.getTime(),
      distinct_id: distinctId,
      ...(idMerge === 'SIMPLIFIED' ? nameSimply(distinctId!) : {}),
      $insert_id: event.insert_id,
      $source: source,
      // Or Mixpanel would take this service for where the person is.
      ip: 0,
    },
  });
}

/** On simplified ID merge: an anonymous device, or a user. */
function nameSimply(distinctId: string): Record<string, string> {
  return distinctId.startsWith(DEVICE_PREFIX)
    ? { $device_id: distinctId.slice(DEVICE_PREFIX.length) }
    : { $user_id: distinctId };
}

function toName(name: string): string {
  return RESERVED.has(name) ? `iterable_${name.replace(/^\$/, '')}` : name.toWellFormed();
}

/** As much of a value as Mixpanel takes. */
function shorten(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_TEXT_LENGTH).toWellFormed();
  if (!Array.isArray(value) && !isJsonObject(value)) return value;
  if (depth > MAX_DEPTH) return shorten(stringifyJson(value), depth);
  if (Array.isArray(value)) return value.slice(0, MAX_ELEMENTS).map((element) => shorten(element, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .slice(0, MAX_ELEMENTS)
      .map(([name, inner]) => [name.toWellFormed(), shorten(inner, depth + 1)]),
  );
}
