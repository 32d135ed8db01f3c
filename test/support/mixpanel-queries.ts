import type { Sandbox } from '../../sandbox/start-sandbox.ts';
import { startBareSandbox } from './bare-sandbox.ts';

/** Authorization as HTTP Basic shows it. */
export function basic(username: string, secret: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}` };
}

/** A sandbox with one project, and the Query API as its service account asks it. */
export async function startWithProject(settings: Parameters<Sandbox['mixpanel']['addProject']>[0] = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.mixpanel.addProject(settings);
  const account = project.addServiceAccount();
  async function ask(
    path: string,
    options: {
      method?: string;
      form?: Record<string, string>;
      json?: string;
      headers?: Record<string, string>;
    } = {},
  ) {
    const { method = 'POST', form = {}, json, headers } = options;
    const response = await fetch(`${bare.sandbox.env.MIXPANEL_BASE_URL_US}${path}`, {
      method,
      headers: {
        ...basic(account.username, account.secret),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(method === 'GET' ? {} : { body: json ?? new URLSearchParams(form) }),
    });
    return { status: response.status, json: await response.json() };
  }
  const engage = (form: Record<string, string> = {}) =>
    ask(`/api/query/engage?project_id=${project.id}`, { form });
  return { ...bare, project, account, ask, engage };
}

/** Of all kinds: the last one has no profile. */
export const SAMPLE = [
  {
    distinctId: 'ann',
    properties: { $email: 'ann@example.com', plan: 'pro', seats: 5, $last_seen: '2029-12-30T12:00:00' },
  },
  { distinctId: 'bob', properties: { $email: 'bob@example.com', plan: 'free', seats: 1, admin: true } },
  { distinctId: 'cyd', properties: { plan: 'pro', seats: '5', tags: ['a', 'b'] } },
  { distinctId: 'dan' },
];

/** A project with two cohorts that share somebody, and how to ask it who is meant. */
export async function startWithPeople(settings: Parameters<typeof startWithProject>[0] = {}) {
  const world = await startWithProject(settings);
  const { project, engage } = world;
  const { id } = project.addCohort({ name: 'All', members: SAMPLE });
  project.addCohort({
    name: 'Some',
    members: [SAMPLE[0]!, { distinctId: 'eve', properties: { plan: 'pro' } }],
  });
  project.addCohort({
    name: 'Companies',
    isGroup: true,
    members: [{ distinctId: 'acme', properties: { plan: 'pro' } }],
  });
  async function idsOf(form: Record<string, string>): Promise<unknown> {
    const { status, json } = await engage(form);
    return status === 200
      ? json.results.map((row: { $distinct_id: string }) => row.$distinct_id)
      : json.error;
  }
  return { ...world, cohort: JSON.stringify({ id }), idsOf };
}
