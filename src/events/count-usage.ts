import type { Db } from '../../db/connect.ts';
import {
  addToMonths,
  addToPeople,
  addToPersonEvents,
  addToSums,
  findFirstCounted,
  type MonthChange,
  type PersonChange,
  type PersonEventChange,
  type SumChange,
} from '../../db/queries/messaging-usage.ts';
import { monthOf, oldestMonthOfPeople } from './event-time.ts';
import { EXEMPT_EVENTS, isExempt } from './exempt-events.ts';
import { toUuid } from './to-uuid.ts';

/** What became of one event. */
export interface UsageChange {
  what: 'REPEAT' | 'ECHO' | 'RECEIVED' | 'REFUSED_AT_ONCE' | 'IMPORTED' | 'REFUSED';
  event: string;
  at: Date;
  distinctId: string | null;
  campaignId: string | null;
  campaignName: string | null;
}

/**
 * Adds to the sums of the events' months. People are those of events that were not refused, of months of which they are kept. Within a transaction that has
 * the project's lock (lockMessaging).
 */
export async function countUsage(
  trx: Db,
  projectId: string,
  { changes, now }: { changes: readonly UsageChange[]; now: Date },
): Promise<void> {
  const months = createTally(
    (month): MonthChange => ({
      month,
      repeats: 0,
      echoes: 0,
      countedUsers: 0,
      exemptOnlyUsers: 0,
    }),
  );
  const sums = createTally(
    (month, event): SumChange => ({
      month,
      event: event!,
      exempt: isExempt(event!),
      received: 0,
      imported: 0,
      rejected: 0,
      users: 0,
    }),
  );
  const personEvents = createTally(
    (month, event, person): PersonEventChange => ({
      month,
      event: event!,
      person: person!,
      events: 0,
    }),
  );
  const people = createTally(
    (month, person): PersonChange => ({
      month,
      person: person!,
      counted: 0,
      exempt: 0,
      firstCountedAt: null,
      firstCampaignId: null,
      firstCampaignName: null,
    }),
  );
  const oldest = oldestMonthOfPeople(now);
  const lessened = new Map<string, { month: string; person: string; distinctId: string }>();

  for (const change of changes) {
    const { what, event, at, distinctId } = change;
    const month = monthOf(at);
    const ofMonth = months.of(month);
    if (what === 'REPEAT') ofMonth.repeats++;
    if (what === 'ECHO') ofMonth.echoes++;
    if (what === 'REPEAT' || what === 'ECHO') continue;
    const sum = sums.of(month, event);
    if (what === 'RECEIVED' || what === 'REFUSED_AT_ONCE') sum.received++;
    if (what === 'REFUSED' || what === 'REFUSED_AT_ONCE') sum.rejected++;
    if (what === 'IMPORTED') sum.imported++;
    const more = { RECEIVED: 1, REFUSED: -1, REFUSED_AT_ONCE: 0, IMPORTED: 0 }[what];
    if (more === 0 || distinctId === null || month < oldest) continue;
    const person = toUuid(distinctId);
    personEvents.of(month, event, person).events += more;
    const known = people.of(month, person);
    if (sum.exempt) known.exempt += more;
    else known.counted += more;
    if (what === 'REFUSED' && !sum.exempt) lessened.set(`${month} ${person}`, { month, person, distinctId });
    if (what === 'RECEIVED' && !sum.exempt && (known.firstCountedAt === null || at < known.firstCountedAt)) {
      known.firstCountedAt = at;
      known.firstCampaignId = change.campaignId;
      known.firstCampaignName = change.campaignName;
    }
  }

  for (const after of await addToPersonEvents(trx, projectId, personEvents.all())) {
    const before = after.events - personEvents.of(after.month, after.event, after.person).events;
    sums.of(after.month, after.event).users += Number(after.events > 0) - Number(before > 0);
  }
  for (const after of await addToPeople(trx, projectId, people.all())) {
    const added = people.of(after.month, after.person);
    const before = { counted: after.counted - added.counted, exempt: after.exempt - added.exempt };
    const ofMonth = months.of(after.month);
    ofMonth.countedUsers += Number(after.counted > 0) - Number(before.counted > 0);
    ofMonth.exemptOnlyUsers += Number(isExemptOnly(after)) - Number(isExemptOnly(before));
  }
  if (lessened.size > 0) await findFirstCounted(trx, projectId, [...lessened.values()], EXEMPT_EVENTS);
  await addToSums(trx, projectId, sums.all());
  await addToMonths(trx, projectId, months.all());
}

function isExemptOnly({ counted, exempt }: { counted: number; exempt: number }): boolean {
  return counted <= 0 && exempt > 0;
}

/** One thing for each key, made when it is first asked for. */
function createTally<T>(make: (...key: [string, ...string[]]) => T) {
  const known = new Map<string, T>();
  return {
    of(...key: [string, ...string[]]): T {
      const name = key.join('\n');
      let value = known.get(name);
      if (value === undefined) {
        value = make(...key);
        known.set(name, value);
      }
      return value;
    },
    all: () => [...known.values()],
  };
}
