import { serverAudits } from 'graphql-http';
import { expect, test } from 'vitest';
import { startTestApp } from './support/test-app.ts';

test('every rule of GraphQL over HTTP that its audit knows is kept', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const audits = serverAudits({
    url: `${app.url}/graphql`,
    fetchFn: (address: string, init: RequestInit = {}) =>
      fetch(address, {
        ...init,
        headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${app.ownerSecret}` },
      }),
  });
  const broken: string[] = [];
  for (const audit of audits) {
    const result = await audit.fn();
    if (result.status !== 'ok') broken.push(`${audit.id} ${audit.name}: ${result.reason}`);
  }
  expect(broken).toEqual([]);
  expect(audits).toHaveLength(61);
});
