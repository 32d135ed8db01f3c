import { setTimeout as wait } from 'node:timers/promises';
import { makeEvents } from '../sandbox/iterable/sample-events.ts';
import type { Sample } from '../sandbox/sample.ts';
import type { Sandbox } from '../sandbox/start-sandbox.ts';

const EVENTS = 2_000;
const REPEATED = 0.05;
const HOUR_MS = 3_600_000;

interface Usage {
  eventsReceived: number;
  eventsImported: number;
  eventsPending: number;
  repeatsDropped: number;
  exemptEvents: number;
  countedEvents: number;
  countedUsers: number;
  exemptOnlyUsers: number;
}

/**
 * Iterable tells the service's webhook what became of its messages, some of it twice; the service carries it to Mixpanel and
 * says what it does to the bill. True when each event arrived once and the people who count are those whom Mixpanel counts.
 */
export async function carryEvents(demo: {
  api: <Data>(query: string) => Promise<Data>;
  url: string;
  sandbox: Sandbox;
  sample: Sample;
  say: (text: string) => void;
}): Promise<boolean> {
  const { api, url, sandbox, sample, say } = demo;
  const { integration } = await api<{ integration: { webhook: { url: string; password: string } } }>(
    `{ integration(provider: ITERABLE) { webhook { url password } } }`,
  );
  const target = {
    url: `${url}${new URL(integration.webhook.url).pathname}`,
    auth: { type: 'oauth2', token: integration.webhook.password } as const,
  };
  say(
    `\nIterable sends ${EVENTS} events of messages to the service's webhook, in any order and some of them twice.`,
  );
  // Of one month, whichever day it is.
  const month = new Date(Date.now() - 32 * 24 * HOUR_MS).toISOString().slice(0, 7);
  const from = Date.parse(`${month}-02T00:00:00Z`);
  const people = { count: 500, prefix: 'customer' };
  const events = makeEvents({
    count: EVENTS,
    people,
    projectType: 'EMAIL',
    seed: 1,
    from,
    to: from + 600 * HOUR_MS,
  });
  await sandbox.iterable.sender.send(target, events, { isShuffled: true, isRepeated: REPEATED });
  const usage = await untilCarried(api, month);
  const distinct = sample.mixpanel.imported.distinct().length;
  const counted = sample.mixpanel.imported.mtus(month);
  say(
    `  ${usage.eventsReceived} different ones (${usage.repeatsDropped} came again), ${distinct} in Mixpanel.`,
  );
  say(
    `  ${usage.exemptEvents} of them are exempt; ${usage.countedEvents} make ${usage.countedUsers} people monthly tracked users.`,
  );
  say(`  ${usage.exemptOnlyUsers} more people have exempt events only and cost nothing.`);
  const isEqual = usage.eventsReceived === EVENTS && distinct === EVENTS && counted === usage.countedUsers;
  say(`What the service says of the month ${isEqual ? 'is' : 'is NOT'} what Mixpanel counts.`);
  return isEqual;
}

async function untilCarried(api: <Data>(query: string) => Promise<Data>, month: string): Promise<Usage> {
  for (;;) {
    const { messagingUsage: usage } = await api<{ messagingUsage: Usage }>(
      `{ messagingUsage(month: "${month}") { eventsReceived eventsImported eventsPending repeatsDropped exemptEvents
        countedEvents countedUsers exemptOnlyUsers } }`,
    );
    if (usage.eventsPending === 0) return usage;
    await wait(200);
  }
}
