import type { SandboxRequest } from '../http.ts';
import type { MixpanelProject, ServiceAccount } from './project.ts';

/** The project whose service account asks, and that account. */
export function findOwner(
  projects: readonly MixpanelProject[],
  region: MixpanelProject['region'],
  request: SandboxRequest,
): { project: MixpanelProject; account: ServiceAccount } | undefined {
  const { username, secret } = readAccount(request);
  for (const project of projects) {
    const account = project.accounts.get(username);
    if (project.region !== region || !account || account.secret !== secret || account.isRevoked) continue;
    return { project, account };
  }
  return undefined;
}

/** base64, or plain as Mixpanel also takes it. */
function readAccount(request: SandboxRequest): { username: string; secret: string } {
  const [, given = ''] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? [];
  const text = given.includes(':') ? given : Buffer.from(given, 'base64').toString('utf8');
  const [username = '', ...secret] = text.split(':');
  return { username, secret: secret.join(':') };
}
