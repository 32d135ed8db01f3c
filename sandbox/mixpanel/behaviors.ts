import { type Expression, parseExpression } from './expression.ts';
import type { ImportedEvent } from './imported-events.ts';
import { parseParam } from './params.ts';
import { RefusedQueryError } from './refused-query.ts';

/** Events that /engage counts for each person, so that where can ask for `behaviors["name"] > 2`. */
export interface Behavior {
  name: string;
  windowMs: number;
  selectors: { event: string; selector: Expression | undefined }[];
}

const UNITS: Record<string, number> = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000, m: 30 * 86_400_000 };

/** `[{"window": "90d", "name": "signups", "event_selectors": [{"event": "Sign up"}]}]`. Throws RefusedQueryError. */
export function readBehaviors(text: string): Behavior[] {
  const given = parseParam('behaviors', text);
  if (!Array.isArray(given)) throw new RefusedQueryError('behaviors must be a JSON array');
  return given.map((one) => {
    const { window, name, event_selectors: selectors } = Object(one) as Record<string, unknown>;
    const [, count, unit = ''] = /^(\d+)([hdwm])$/.exec(String(window)) ?? [];
    if (count === undefined || typeof name !== 'string' || !Array.isArray(selectors)) {
      throw new RefusedQueryError('behaviors: each needs a window such as "30d", a name and event_selectors');
    }
    return { name, windowMs: Number(count) * UNITS[unit]!, selectors: selectors.map(readSelector) };
  });
}

function readSelector(given: unknown): Behavior['selectors'][number] {
  const { event, selector } = Object(given) as Record<string, unknown>;
  if (typeof event !== 'string')
    throw new RefusedQueryError('behaviors: each of event_selectors needs an event');
  return { event, selector: typeof selector === 'string' ? parseExpression(selector) : undefined };
}

/** By behavior and distinct_id: how often, in the time before. */
export function countBehaviors(
  behaviors: readonly Behavior[],
  events: readonly ImportedEvent[],
  before: number,
): Map<string, Map<string, number>> {
  const counts = new Map(behaviors.map(({ name }) => [name, new Map<string, number>()]));
  for (const { event, time, distinctId, properties } of events) {
    const scope = { property: (name: string) => properties[name], behavior: () => undefined };
    for (const { name, windowMs, selectors } of behaviors) {
      if (time > before || time <= before - windowMs) continue;
      const isMeant = selectors.some(
        (one) => one.event === event && (one.selector === undefined || one.selector(scope) === true),
      );
      const people = counts.get(name)!;
      if (isMeant) people.set(distinctId, (people.get(distinctId) ?? 0) + 1);
    }
  }
  return counts;
}
