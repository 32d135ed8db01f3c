import { sql } from 'kysely';
import { expect } from 'vitest';
import { SOON } from './mixpanel-waits.ts';
import type { TestApp } from './test-app.ts';

export interface PushedMember {
  mixpanel_distinct_id?: unknown;
  [property: string]: unknown;
}

/** One call as Mixpanel makes it; what is undefined is left out. */
export interface PushOptions {
  action?: string;
  cohortId?: string;
  name?: string;
  session: string;
  page?: number;
  pages?: number;
  members: PushedMember[];
  /** Instead of or beside the usual parameters. */
  parameters?: Record<string, unknown>;
}

export interface Pusher {
  endpoint: { url: string; username: string; password: string };
  push(options: PushOptions): Promise<{ status: number; body: unknown }>;
  /** Any body, any headers. */
  send(body: string, headers?: Record<string, string>): Promise<{ status: number; body: unknown }>;
}

export const pushed = (id: string, properties: Record<string, unknown> = {}): PushedMember => ({
  mixpanel_distinct_id: id,
  email: `${id}@example.com`,
  first_name: 'A',
  last_name: 'B',
  ...properties,
});

/** Calls the webhook that the service shows its administrators. */
export async function createPusher(app: TestApp): Promise<Pusher> {
  const { webhook } = (await app.api.query('{ mixpanel { webhook { url username password } } }')).mixpanel;
  // The port is a free one, which the address does not know.
  const url = `${app.url}${new URL(webhook.url).pathname}`;
  const authorization = basic(webhook.username, webhook.password);
  async function send(body: string, headers: Record<string, string> = {}) {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization, ...headers },
      body,
    });
    return { status: response.status, body: await response.json() };
  }
  return {
    endpoint: { ...webhook, url },
    send,
    push: (options) => send(JSON.stringify(toBody(app, options))),
  };
}

export const basic = (username: string, password: string) =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;

export function toBody(app: TestApp, options: PushOptions) {
  const { action = 'members', cohortId = '5000001', name = 'Power users', page = 1, pages = 1 } = options;
  return {
    action,
    parameters: {
      mixpanel_project_id: app.mixpanel.id,
      mixpanel_integration_id: '0',
      mixpanel_cohort_id: cohortId,
      mixpanel_cohort_name: name,
      mixpanel_cohort_description: 'text',
      mixpanel_session_id: options.session,
      page_info: { total_pages: pages, page_count: page },
      members: options.members,
      ...options.parameters,
    },
  };
}

/** distinct_ids of the cohort that is pushed, as it is now. */
export async function pushedMembers(app: TestApp): Promise<string[]> {
  const rows = await app.app.sync.db
    .selectFrom('pushed_members')
    .select('distinct_id')
    .where('is_member', '=', true)
    .orderBy('distinct_id')
    .execute();
  return rows.map((row) => row.distinct_id);
}

/** Resolves when every session whose pages have all come has been applied. */
export async function untilApplied(app: TestApp): Promise<void> {
  const countWhole = async () => {
    const { rows } = await sql`
      select from pushed_sessions where state = 'WHOLE' or state = 'OPEN' and total_pages = (
        select count(*) from pushed_pages where session_id = pushed_sessions.id and number <= total_pages
      )
    `.execute(app.app.sync.db);
    return rows.length;
  };
  await expect.poll(countWhole, SOON).toBe(0);
}

export async function pushedCohort(app: TestApp) {
  const { cohorts } = await app.api.query(
    `{ cohorts(source: MIXPANEL_WEBHOOK) { edges { node {
      id externalId name description memberCount exportable present lastReceivedAt warning
    } } } }`,
  );
  return cohorts.edges[0]?.node;
}
