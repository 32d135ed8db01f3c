import { type Batch, MAX_RECORDS } from './read-batch.ts';

/** $ignore drops the event without a word; Mixpanel advises against the others as names of one's own. */
const UNWISE_NAMES = ['$ignore', 'bucket', '$bucket', '$time', '$event_name'];

/** What a careful client does not send, each kind once a batch. */
export function findBadManners(batch: Batch, isStrict: boolean): Set<string> {
  const found = new Set<string>();
  if (!isStrict) found.add('import without strict=1');
  if ('fault' in batch) {
    // A body that is too large is how a client finds the limit out.
    if (batch.fault !== 'too large') found.add('import of a body that cannot be read');
    return found;
  }
  const { records } = batch;
  if (records.length > MAX_RECORDS) found.add(`import of ${records.length} events`);
  if (records.length === 0) found.add('import of no events');
  for (const record of records) {
    const properties = Object((record as { properties?: unknown } | null)?.properties) as object;
    if (!('ip' in properties) || properties.ip !== 0) found.add('import of an event without ip: 0');
    if (!('$source' in properties)) found.add('import of an event without $source');
    for (const name of UNWISE_NAMES) {
      if (name in properties) found.add(`import of an event with a property ${name}`);
    }
  }
  return found;
}
