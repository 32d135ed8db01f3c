import { hash } from 'node:crypto';
import type { IterableEvent, UsageSnapshot } from './iterable-events.ts';

/** Mixpanel's page on Iterable. */
const EXEMPT = new Set(
  `emailSend emailBounce emailComplaint emailSendSkip emailSubscribe emailUnSubscribe hostedUnsubscribeClick inAppSend
  inAppSendSkip pushBounce pushSend pushSendSkip smsBounce smsReceived smsSend smsSendSkip webPushSendSkip`.split(
    /\s+/,
  ),
);

/**
 * What a month adds up to, counted anew from all that was sent; by no rule of the service's own. Refused are events that
 * Mixpanel will not have. Nobody of these events was synced.
 */
export function countEvents(
  sent: Iterable<IterableEvent>,
  month: string,
  isRefused: (event: IterableEvent) => boolean = () => false,
): Omit<UsageSnapshot, 'byCampaign' | 'eventsPending' | 'echoesDropped'> {
  const seen = new Set<string>();
  const names = new Map<string, { events: number; users: Set<string> }>();
  const counted = new Set<string>();
  const everybody = new Set<string>();
  let repeats = 0;
  let received = 0;
  let rejected = 0;
  for (const event of sent) {
    const { createdAt, email } = event.dataFields as { createdAt: string; email?: string };
    if (createdAt.slice(0, 7) !== month) continue;
    const text = hash('sha256', JSON.stringify(event), 'base64');
    if (seen.has(text)) {
      repeats++;
      continue;
    }
    seen.add(text);
    received++;
    if (isRefused(event)) {
      rejected++;
      continue;
    }
    const person = event.userId ?? event.email ?? email!;
    const name = names.get(event.eventName) ?? { events: 0, users: new Set() };
    names.set(event.eventName, name);
    name.events++;
    name.users.add(person);
    everybody.add(person);
    if (!EXEMPT.has(event.eventName)) counted.add(person);
  }
  const byEvent = [...names].map(([event, { events, users }]) => ({
    event,
    exempt: EXEMPT.has(event),
    events,
    users: users.size,
  }));
  const sum = (exempt: boolean) =>
    byEvent.reduce((total, one) => total + (one.exempt === exempt ? one.events : 0), 0);
  return {
    month,
    eventsReceived: received,
    eventsImported: received - rejected,
    eventsRejected: rejected,
    repeatsDropped: repeats,
    exemptEvents: sum(true),
    countedEvents: sum(false),
    countedUsers: counted.size,
    exemptOnlyUsers: everybody.size - counted.size,
    byEvent,
  };
}
