import type { SandboxRequest } from '../http.ts';
import type { MixpanelProject, ServiceAccount } from './project.ts';

/** Who asks: a service account of the project, or who knows the secret or the token of the project itself. */
export interface Caller {
  project: MixpanelProject;
  account?: ServiceAccount;
}

/** Who asks by HTTP Basic: an account with its secret, or the project's secret (or one more of its names) without a password. */
export function findCaller(
  projects: readonly MixpanelProject[],
  request: SandboxRequest,
  isTokenEnough = false,
): Caller | undefined {
  const { username, password } = readBasic(request);
  for (const project of projects) {
    const account = project.accounts.get(username);
    if (account && account.secret === password && !account.isRevoked) return { project, account };
    const names = isTokenEnough ? [project.secret, project.token] : [project.secret];
    if (password === '' && names.includes(username)) return { project };
  }
  return undefined;
}

/** The project of an api_key, as clients from before service accounts name it in the query. */
export function findByKey(projects: readonly MixpanelProject[], key: string | null): Caller | undefined {
  const project = projects.find(({ secret, token }) => key === secret || key === token);
  return project && { project };
}

/** base64, or plain as Mixpanel also takes it. What has no colon is nobody: it belongs behind a username without a password too. */
function readBasic(request: SandboxRequest): { username: string; password: string | undefined } {
  const [, given = ''] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  const text = given.includes(':') ? given : Buffer.from(given, 'base64').toString('utf8');
  const [username = '', ...rest] = text.split(':');
  return { username, password: rest.length === 0 ? undefined : rest.join(':') };
}
