import { request } from 'node:http';
import { createClient } from 'graphql-ws';
import { expect, test } from 'vitest';
import WebSocket from 'ws';
import { createApiClient } from '../support/api-client.ts';
import { lacksNginx, startNginx } from '../support/nginx.ts';
import { startTestApp } from '../support/test-app.ts';
import { makeToken } from '../support/tokens.ts';
import { startFurnished } from './console.ts';

const UPLOAD = `mutation ($input: ImportCohortInput!) { importCohort(input: $input) { memberCount } }`;
const WATCH = 'subscription { syncRunUpdated { id status } }';

/** The status that a caller with this address of its own gets. */
function askFrom(localAddress: string, url: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { localAddress, headers }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    });
    asked.on('error', reject).end();
  });
}

test.skipIf(lacksNginx)(
  'behind nginx as docs/running.md has it, below a path, every transport works and events come one by one',
  async () => {
    await using furnished = await startFurnished();
    const { app, exportId } = furnished;
    await using nginx = await startNginx(app.url);
    const api = createApiClient(nginx.url, app.ownerSecret);
    expect((await fetch(`${nginx.url}/health`)).status).toBe(200);
    expect(await api.query('{ cohorts { totalCount } }')).toEqual({ cohorts: { totalCount: 5 } });
    expect((await createApiClient(nginx.url, 'nobody').send('{ viewer { role } }')).status).toBe(401);

    // More than nginx takes unless it is told, and more than it keeps in memory.
    const content = `distinct_id,email\n${Array.from({ length: 100_000 }, (_, n) => `${n},p${n}@example.com`).join('\n')}`;
    const uploaded = await api.upload(UPLOAD, { input: { name: 'Guests' } }, { name: 'a.csv', content }, {});
    expect(uploaded.data).toEqual({ importCohort: { memberCount: 100_000 } });
    const reader = await makeToken(app, 'CONSUMER');
    const refused = await createApiClient(nginx.url, reader.secret).upload(
      UPLOAD,
      { input: { name: 'Guests' } },
      { name: 'a.csv', content },
      {},
    );
    expect(refused.errors![0]!.extensions.code).toBe('FORBIDDEN');

    const webSocket = createClient({
      url: `${nginx.url.replace('http', 'ws')}/graphql`,
      // As a page of the proxy's own origin would.
      webSocketImpl: class extends WebSocket {
        constructor(url: string, protocols: string) {
          super(url, protocols, { origin: new URL(nginx.url).origin });
        }
      },
      connectionParams: { authorization: `Bearer ${app.ownerSecret}` },
      retryAttempts: 0,
    });
    const overWebSocket = webSocket.iterate({ query: WATCH });
    const events = api.sse(WATCH);
    // Before anything else happens: nothing waits for a buffer to be full.
    const first = (await events.next()).value.syncRunUpdated;
    expect(first.status).toBe('SUCCEEDED');
    expect((await overWebSocket.next()).value).toMatchObject({ data: { syncRunUpdated: first } });
    const runId = await api
      .query('mutation ($id: ID!) { runExport(exportId: $id) { id } }', { id: exportId })
      .then(({ runExport }) => runExport.id);
    expect((await events.next()).value.syncRunUpdated.id).toBe(runId);
    expect((await overWebSocket.next()).value).toMatchObject({ data: { syncRunUpdated: { id: runId } } });
    await events.return(undefined);
    await webSocket.dispose();
    await app.untilOver(runId);
  },
);

test.skipIf(lacksNginx)(
  'behind an nginx that knows nothing of event streams they come one by one all the same',
  async () => {
    await using app = await startTestApp({ env: { ROLES: 'gateway' } });
    await using nginx = await startNginx(app.url, { plain: true });
    const events = createApiClient(nginx.url, app.ownerSecret).sse(
      'subscription { integrationUpdated { status } }',
    );
    expect((await events.next()).value.integrationUpdated.status).toBe('DISCONNECTED');
    await app.connectIterable();
    expect((await events.next()).value.integrationUpdated.status).toBe('CONNECTED');
    await events.return(undefined);
  },
);

test.skipIf(lacksNginx)(
  'behind nginx each caller has the limits of an address to itself, whatever they claim to be',
  async () => {
    await using app = await startTestApp({
      env: { ROLES: 'gateway', RATE_LIMIT_PER_ADDRESS: '3', TRUSTED_PROXIES: '1' },
    });
    await using nginx = await startNginx(app.url);
    const url = `${nginx.url}/health`;
    const statuses: number[] = [];
    for (let round = 0; round < 4; round++) {
      statuses.push(await askFrom('127.0.0.1', url, { 'x-forwarded-for': `192.0.2.${round}` }));
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
    expect(await askFrom('127.0.0.2', url)).toBe(200);
  },
);
