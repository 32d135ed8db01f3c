import pg from 'pg';
import { expect, test } from 'vitest';
import type { WebSocket } from 'ws';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';
import { TRANSPORTS, watch } from './support/watch.ts';

const UPDATES = 'subscription { integrationUpdated { connectedBy } }';

/** Changes made beside the service, as another process would make them. */
async function connectTo(app: TestApp) {
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  return {
    setConnectedBy: (text: string) => client.query('update integrations set connected_by = $1', [text]),
    hideIntegrations: () => client.query('alter table integrations rename to integrations_hidden'),
    showIntegrations: () => client.query('alter table integrations_hidden rename to integrations'),
    revokeAllOfRole: (role: string) =>
      client.query('update api_tokens set revoked_at = now() where role = $1', [role]),
    [Symbol.asyncDispose]: () => client.end(),
  };
}

test('a watcher that stops reading costs another one nothing, and has the newest value when it reads again', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await using database = await connectTo(app);
  const stuck = app.api.webSocket();
  const opened = new Promise<WebSocket>((resolve) => {
    stuck.on('opened', (socket) => resolve(socket as WebSocket));
  });
  const stuckValues = stuck.iterate<{ integrationUpdated: { connectedBy: string } }>({ query: UPDATES });
  await stuckValues.next();
  (await opened).pause();

  const reading = watch(app.api, 'WebSocket', UPDATES);
  await reading.next();
  // More than the buffers of two sockets hold.
  const CHANGES = 20;
  for (let change = 1; change <= CHANGES; change++) {
    await database.setConnectedBy(`${change} ${'x'.repeat(1_000_000)}`);
    const { value } = await reading.next();
    expect(Number.parseInt(value.integrationUpdated.connectedBy, 10)).toBe(change);
  }
  await reading.return(undefined);

  (await opened).resume();
  const seen: number[] = [];
  while (seen.at(-1) !== CHANGES) {
    const { value } = await stuckValues.next();
    seen.push(Number.parseInt(value.data.integrationUpdated.connectedBy, 10));
  }
  expect(seen.length).toBeLessThan(CHANGES);
  expect(seen).toEqual([...seen].sort((one, other) => one - other));
  await stuck.dispose();
});

test.for(TRANSPORTS)(
  'after the last watcher has gone, changes are not read any more (%s)',
  async (transport) => {
    let statements: string[] = [];
    await using app = await startTestApp({
      env: { ROLES: 'gateway' },
      onStatement: (text) => statements.push(text),
    });
    await using database = await connectTo(app);
    const reads = () => statements.filter((text) => text.includes('from "integrations"')).length;
    const values = watch(app.api, transport, UPDATES);
    await values.next();
    statements = [];
    await database.setConnectedBy('somebody');
    expect((await values.next()).value).toEqual({ integrationUpdated: { connectedBy: 'somebody' } });
    expect(reads()).toBeGreaterThan(0);

    await values.return(undefined);
    // The service hears of it a moment later; one that never frees the watcher reads for ever.
    do {
      const socket = await openSocket(app);
      statements = [];
      await database.setConnectedBy('nobody sees this');
      // Notifications come in order: once the socket of the revoked token is closed, the change before was heard.
      await database.revokeAllOfRole('CONSUMER');
      expect(await socket.closed).toBe(4403);
    } while (reads() > 0);
  },
);

/** A socket of a CONSUMER that watches no integration. */
async function openSocket(app: TestApp): Promise<{ closed: Promise<number> }> {
  const token = await makeToken(app, 'CONSUMER');
  const client = token.api.webSocket();
  const connected = new Promise<void>((resolve) => client.on('connected', () => resolve()));
  const closed = new Promise<number>((resolve) => {
    client.on('closed', (event) => resolve((event as { code: number }).code));
  });
  client.subscribe(
    { query: 'subscription { syncRunUpdated { id } }' },
    { next: () => undefined, error: () => undefined, complete: () => undefined },
  );
  await connected;
  return { closed };
}

const UNEXPECTED = { message: 'Unexpected error.', extensions: { errorId: expect.any(String) } };

/** All that a stream of server-sent events says, when it ends by itself. */
async function readEvents(app: TestApp, query: string): Promise<string> {
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'text/event-stream',
      authorization: `Bearer ${app.ownerSecret}`,
    },
    body: JSON.stringify({ query }),
  });
  return await response.text();
}

test('when what is there cannot be read, a watcher is told so in our words, and the stream ends', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' }, allowFaults: true });
  await using database = await connectTo(app);
  await database.hideIntegrations();
  const client = app.api.webSocket();
  const told: unknown[] = [];
  for await (const value of client.iterate({ query: UPDATES })) told.push(value);
  expect(told).toEqual([{ errors: [UNEXPECTED] }]);

  const events = await readEvents(app, UPDATES);
  const [, data] = /^event: next\ndata: (.*)$/m.exec(events)!;
  expect(JSON.parse(data!)).toEqual({ errors: [UNEXPECTED] });
  expect(events).toContain('event: complete');

  // The socket itself lives on.
  await database.showIntegrations();
  const again = client.iterate({ query: UPDATES });
  expect((await again.next()).value).toMatchObject({ data: { integrationUpdated: {} } });
  await client.dispose();
});
