import { countUsersOfEvent, type UsageRows } from '../../db/queries/messaging-usage.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import { isExempt } from './exempt-events.ts';

export interface EventUsage {
  event: string;
  exempt: boolean;
  events: number;
  users: number;
}

/** Events of a month, and the people whom they make monthly tracked users in Mixpanel. */
export interface Usage {
  month: string;
  eventsReceived: number;
  eventsImported: number;
  eventsRejected: number;
  eventsPending: number;
  repeatsDropped: number;
  echoesDropped: number;
  exemptEvents: number;
  countedEvents: number;
  countedUsers: number;
  exemptOnlyUsers: number;
  /** The most frequent first. */
  byEvent: EventUsage[];
}

/** Pure. */
export function toUsage(month: string, { month: row, sums }: UsageRows): Usage {
  const sum = (column: 'received' | 'imported' | 'rejected') =>
    sums.reduce((total, one) => total + one[column], 0);
  const byEvent = sums
    .map(({ event, exempt, received, rejected, users }) => ({
      event,
      exempt,
      events: received - rejected,
      users,
    }))
    .filter(({ events }) => events > 0)
    .sort((left, right) => right.events - left.events);
  const count = (wanted: boolean) =>
    byEvent.reduce((total, { exempt, events }) => total + (exempt === wanted ? events : 0), 0);
  const [received, imported, rejected] = [sum('received'), sum('imported'), sum('rejected')];
  return {
    month,
    eventsReceived: received,
    eventsImported: imported,
    eventsRejected: rejected,
    eventsPending: received - imported - rejected,
    repeatsDropped: row?.repeats ?? 0,
    echoesDropped: row?.echoes ?? 0,
    exemptEvents: count(true),
    countedEvents: count(false),
    countedUsers: row?.counted_users ?? 0,
    exemptOnlyUsers: row?.exempt_only_users ?? 0,
    byEvent,
  };
}

/** What would be if Mixpanel took the events of one name otherwise than it does. */
export interface WhatIf {
  event: string;
  exempt: boolean;
  users: number;
  countedUsers: number;
  difference: number;
}

/** An event that counts is left out; one that is exempt, or has not come at all, counts. */
export async function askWhatIf(scope: ProjectScope, month: string, event: string): Promise<WhatIf> {
  const exempt = isExempt(event);
  const { users, onlyByIt, uncounted, countedUsers } = await countUsersOfEvent(scope, month, event);
  // Nobody's months change by the absence of what nobody has.
  const difference = exempt ? uncounted : onlyByIt === 0 ? 0 : -onlyByIt;
  return { event, exempt, users, countedUsers: countedUsers + difference, difference };
}
