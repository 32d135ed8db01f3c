import { setTimeout as wait } from 'node:timers/promises';
import { expect } from 'vitest';
import type { ApiClient } from './api-client.ts';
import { SOON } from './mixpanel-waits.ts';
import type { TestApp } from './test-app.ts';

export interface IterableEvent {
  email?: string;
  userId?: string;
  eventName: string;
  dataFields?: Record<string, unknown>;
}

export interface EventSender {
  endpoint: { url: string; username: string; password: string };
  /** With the token as Iterable's OAuth2 sends it. */
  send(event: IterableEvent): Promise<{ status: number; body: unknown }>;
  /** Any body, any headers, and no token unless it is among them. */
  sendAs(headers: Record<string, string>, body: string): Promise<{ status: number; body: unknown }>;
}

/** Calls the webhook that the service shows its administrators. */
export async function createEventSender(app: TestApp, api: ApiClient = app.api): Promise<EventSender> {
  const { integration } = await api.query(
    '{ integration(provider: ITERABLE) { webhook { url username password } } }',
  );
  const { webhook } = integration;
  // The port is a free one, which the address does not know.
  const url = `${app.url}${new URL(webhook.url).pathname}`;
  const sender: EventSender = {
    endpoint: { ...webhook, url },
    send: (event) => sender.sendAs({ authorization: `OAuth2 ${webhook.password}` }, JSON.stringify(event)),
    async sendAs(headers, body) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      });
      return { status: response.status, body: await response.json() };
    },
  };
  return sender;
}

/** As Iterable writes it. */
export const iterableTime = (at: Date | string): string =>
  new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d{3}Z$/, ' +00:00');

const USAGE_FIELDS = `month eventsReceived eventsImported eventsRejected eventsPending repeatsDropped echoesDropped
  exemptEvents countedEvents countedUsers exemptOnlyUsers byEvent { event exempt events users }
  byCampaign { campaignId campaignName users }`;

export interface UsageSnapshot {
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
  byEvent: { event: string; exempt: boolean; events: number; users: number }[];
  byCampaign: { campaignId: string | null; campaignName: string | null; users: number }[];
}

export async function readUsage({ api }: Pick<TestApp, 'api'>, month: string): Promise<UsageSnapshot> {
  const { messagingUsage } = await api.query(
    `query ($month: String!) { messagingUsage(month: $month) { ${USAGE_FIELDS} } }`,
    { month },
  );
  checkUsage(messagingUsage);
  return messagingUsage;
}

/** The usage once nothing waits for Mixpanel any more. Every snapshot on the way is checked for what must hold of any. */
export async function untilCarried(app: Pick<TestApp, 'api'>, month: string): Promise<UsageSnapshot> {
  const givenUpAt = performance.now() + SOON.timeout;
  for (;;) {
    const usage = await readUsage(app, month);
    if (usage.eventsPending > 0 && performance.now() < givenUpAt) {
      await wait(50);
      continue;
    }
    expect(usage.eventsPending).toBe(0);
    // Read a moment after the sums, which are quiet now.
    const byCampaign = usage.byCampaign.reduce((total, { users }) => total + users, 0);
    expect(byCampaign).toBe(usage.countedUsers);
    return usage;
  }
}

/** What must hold of any. */
function checkUsage(usage: UsageSnapshot): void {
  const sum = (of: (one: UsageSnapshot['byEvent'][number]) => number) =>
    usage.byEvent.reduce((total, one) => total + of(one), 0);
  expect(usage.eventsReceived).toBe(usage.eventsImported + usage.eventsRejected + usage.eventsPending);
  expect(usage.exemptEvents + usage.countedEvents).toBe(usage.eventsReceived - usage.eventsRejected);
  expect(sum(({ events }) => events)).toBe(usage.exemptEvents + usage.countedEvents);
  expect(sum(({ exempt, events }) => (exempt ? events : 0))).toBe(usage.exemptEvents);
}
