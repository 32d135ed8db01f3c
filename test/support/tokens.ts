import type { ApiClient } from './api-client.ts';
import type { TestApp } from './test-app.ts';

export type TokenRole = 'OWNER' | 'ADMIN' | 'ANALYST' | 'CONSUMER';

export interface TestToken {
  id: string;
  secret: string;
  /** A client that sends it. */
  api: ApiClient;
}

/** A further token of the first project, or of the project that `by` belongs to. */
export async function makeToken(
  app: TestApp,
  role: TokenRole,
  { name = `A token of role ${role}`, expiresAt, by = app.api }: MakeTokenOptions = {},
): Promise<TestToken> {
  const { createApiToken } = await by.query(
    `mutation ($input: CreateApiTokenInput!) { createApiToken(input: $input) { secret apiToken { id } } }`,
    { input: { name, role, expiresAt } },
  );
  const { secret, apiToken } = createApiToken;
  return { id: apiToken.id, secret, api: app.as(secret) };
}

export interface MakeTokenOptions {
  name?: string;
  expiresAt?: string;
  by?: ApiClient;
}

export async function revokeToken(api: ApiClient, id: string): Promise<void> {
  await api.query(`mutation ($id: ID!) { revokeApiToken(id: $id) { id } }`, { id });
}

/** A second project in the same deployment, with its OWNER token. */
export async function makeProject(
  app: TestApp,
  name: string,
): Promise<{ id: string; token: TestToken; api: ApiClient }> {
  const { createProject } = await app.api.query(
    `mutation ($name: String!) { createProject(input: { name: $name }) {
      project { id } apiToken { id } secret
    } }`,
    { name },
  );
  const { project, apiToken, secret } = createProject;
  const api = app.as(secret);
  return { id: project.id, token: { id: apiToken.id, secret, api }, api };
}

/** The code with which the server closes a WebSocket; resolves when it does. */
export async function closeCodeOf(
  api: ApiClient,
  options?: { authorization?: string | null },
): Promise<number> {
  const client = api.webSocket(options);
  return await new Promise<number>((resolve, reject) => {
    client.on('closed', (event) => resolve((event as { code: number }).code));
    client.subscribe(
      { query: 'subscription { integrationUpdated { id } }' },
      { next: () => undefined, error: () => undefined, complete: () => reject(new Error('It went on.')) },
    );
  });
}
