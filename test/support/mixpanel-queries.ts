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
