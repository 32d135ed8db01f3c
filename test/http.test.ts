import { request } from 'node:http';
import { expect, test } from 'vitest';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { untilValue } from './support/watch.ts';

const gateway = () => startTestApp({ env: { ROLES: 'gateway' } });

async function get(app: TestApp, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(`${app.url}${path}`, { headers });
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    text: await response.text(),
  };
}

const json = (answer: { text: string }) => JSON.parse(answer.text);
const asOwner = (app: TestApp) => ({ authorization: `Bearer ${app.ownerSecret}` });
const asBrowser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

test('/health says that the process is alive, to anybody', async () => {
  await using app = await gateway();
  const answer = await get(app, '/health');
  expect([answer.status, json(answer)]).toEqual([200, { status: 'ok' }]);
});

test('/ready says yes once the database is there and migrated, and no when it is not', async () => {
  await using app = await gateway();
  expect((await get(app, '/ready')).status).toBe(200);
  await app.app.sync.db.schema.alterTable('kysely_migration').renameTo('gone').execute();
  // An answer holds for a second.
  await expect.poll(() => get(app, '/ready')).toMatchObject({ status: 503 });
  expect(json(await get(app, '/ready'))).toEqual({ status: 'not ready' });
  expect((await get(app, '/health')).status).toBe(200);
});

test('/ready says no while the service lets a running batch finish', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Trial', [{ distinctId: 'a', properties: { $email: 'a@example.com' } }]);
  app.sandbox.faults.add({ operation: 'iterable.subscribe', delayMs: 2_000 });
  const { runId } = await app.startSync(cohort.id);
  const progress = app.api.sse('subscription ($id: ID!) { syncProgress(runId: $id) { phase } }', {
    id: runId,
  });
  await untilValue(progress, ({ syncProgress }) => syncProgress.phase === 'ADDING');
  const stopping = app.app.stop();
  expect((await get(app, '/ready')).status).toBe(503);
  expect((await get(app, '/health')).status).toBe(200);
  await stopping;
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['a@example.com']);
});

test('a request that is under way when the service stops is still answered', async () => {
  await using app = await gateway();
  const body = JSON.stringify({ query: '{ viewer { role } }' });
  const pending = request(`${app.url}/graphql`, {
    method: 'POST',
    headers: {
      ...asOwner(app),
      'content-type': 'application/json',
      'content-length': body.length,
      expect: '100-continue',
    },
  });
  const answered = new Promise<string>((resolve, reject) => {
    pending.on('error', reject);
    pending.on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(text);
    });
  });
  const accepted = new Promise((resolve) => pending.once('continue', resolve));
  pending.flushHeaders();
  await accepted;
  const stopping = app.app.stop();
  pending.end(body);
  expect(JSON.parse(await answered)).toEqual({ data: { viewer: { role: 'OWNER' } } });
  await stopping;
});

test('a path that is not there is 404', async () => {
  await using app = await gateway();
  const answer = await get(app, '/nowhere');
  expect([answer.status, json(answer)]).toEqual([404, { error: expect.stringContaining('/') }]);
});

test('somebody who opens the service in a browser is told the first steps', async () => {
  await using app = await gateway();
  const { status, type, text } = await get(app, '/', asBrowser);
  expect([status, type]).toEqual([200, 'text/html; charset=utf-8']);
  for (const word of ['connectIntegration', 'connectMixpanel', 'startSync', 'syncProgress', 'graphql'])
    expect(text).toContain(word);
});

test('GraphiQL is shown to a browser without a token, and needs nothing from other hosts', async () => {
  await using app = await gateway();
  const { status, type, text } = await get(app, '/graphql', asBrowser);
  expect([status, type.split(';')[0]]).toEqual([200, 'text/html']);
  expect(text).toContain('GraphiQL');
  expect(text.match(/<(script|link)[^>]+(src|href)="?https?:/g)).toBeNull();
});

test('queries may be sent by GET, with a token; mutations may not', async () => {
  await using app = await gateway();
  const path = (query: string) => `/graphql?query=${encodeURIComponent(query)}`;
  expect(json(await get(app, path('{ viewer { role } }'), asOwner(app)))).toEqual({
    data: { viewer: { role: 'OWNER' } },
  });
  expect((await get(app, path('{ viewer { role } }'))).status).toBe(401);
  // A link with a query in it shows a browser GraphiQL; nothing is answered without a token.
  const shown = await get(app, path('{ viewer { role } }'), asBrowser);
  expect(shown.type).toContain('text/html');
  expect(shown.text).not.toContain('"OWNER"');
  const refused = await get(app, path('mutation { disconnectMixpanel { id } }'), asOwner(app));
  expect(refused.status).toBe(405);
  expect(json(refused).data).toBeUndefined();
});

test('variables and an operation name come by GET too', async () => {
  await using app = await gateway();
  const search = new URLSearchParams({
    query: 'query one { viewer { role } } query two ($first: Int) { cohorts(first: $first) { totalCount } }',
    operationName: 'two',
    variables: '{"first":1}',
  });
  expect(json(await get(app, `/graphql?${search}`, asOwner(app)))).toEqual({
    data: { cohorts: { totalCount: 0 } },
  });
});

test('the schema can be asked for with a token, and shows the descriptions', async () => {
  await using app = await gateway();
  const { __type } = await app.api.query(
    '{ __type(name: "Export") { description fields { name description } } }',
  );
  expect(__type.description).toBeTruthy();
  expect(__type.fields.filter((field: { description: string }) => !field.description)).toEqual([]);
});

test('a body that is no JSON or holds no query is told as bad input', async () => {
  await using app = await gateway();
  for (const body of ['{', '[]', '{}', '{"query":1}', '"text"']) {
    const response = await fetch(`${app.url}/graphql`, {
      method: 'POST',
      headers: {
        ...asOwner(app),
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
      },
      body,
    });
    expect([body, response.status]).toEqual([body, 400]);
    const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
    expect(errors.map((error) => error.extensions.code)).toEqual(['BAD_USER_INPUT']);
  }
});

test('one request carries one operation', async () => {
  await using app = await gateway();
  const response = await fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { ...asOwner(app), 'content-type': 'application/json' },
    body: JSON.stringify([{ query: '{ viewer { role } }' }, { query: '{ viewer { role } }' }]),
  });
  expect(response.status).toBe(400);
});

test('variables by GET that are no JSON are told as bad input', async () => {
  await using app = await gateway();
  const response = await fetch(`${app.url}/graphql?query=%7B__typename%7D&variables=%7Bx`, {
    headers: asOwner(app),
  });
  const { errors } = (await response.json()) as { errors: { extensions: { code: string } }[] };
  expect(errors.map((error) => error.extensions.code)).toEqual(['BAD_USER_INPUT']);
});
