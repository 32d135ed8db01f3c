import { describe, expect, test } from 'vitest';
import { operationsOf } from './partner-documents/operations.ts';
import { startTestApp } from './support/test-app.ts';
import { startWatchedSandbox } from './support/watched-sandbox.ts';

interface Asked {
  method?: string;
  path: string;
  type?: string;
  body?: unknown;
}

/** Sends one request to a partner, with credentials of a project that has a list and a cohort. */
async function startPartners({ checksRequests = true } = {}) {
  const sandbox = await startWatchedSandbox({ checksRequests });
  const iterable = sandbox.iterable.addProject({ type: 'HYBRID' });
  const mixpanel = sandbox.mixpanel.addProject();
  const { username, secret } = mixpanel.addServiceAccount();
  const apiKey = iterable.addKey();
  const ask = async (base: string, { method = 'POST', path, type = 'application/json', body }: Asked) => {
    const response = await fetch(sandbox.env[`${base}_BASE_URL_US`] + path, {
      method,
      headers: {
        'api-key': apiKey,
        authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`,
        'content-type': type,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    await response.arrayBuffer();
    return response.status;
  };
  return {
    sandbox,
    iterable,
    mixpanel,
    askIterable: (asked: Asked) => ask('ITERABLE', asked),
    askMixpanel: (asked: Asked) => ask('MIXPANEL', asked),
    importEvents: (asked: Asked) => ask('MIXPANEL_INGESTION', asked),
  };
}

const EVENT = {
  event: 'emailSend',
  properties: { time: 1_718_616_477_000, distinct_id: 'ann', $insert_id: 'b' },
};
const FORM = 'application/x-www-form-urlencoded';

describe('a request that breaches the document of its partner fails the test:', () => {
  test.each<{ title: string; asked: Asked; said: string }>([
    { title: 'an unknown path', asked: { path: '/api/list' }, said: 'POST /api/list is in no document' },
    {
      title: 'an unknown method',
      asked: { method: 'PUT', path: '/api/lists' },
      said: 'PUT /api/lists is in no document',
    },
    {
      title: 'a parameter that there is not',
      asked: { method: 'GET', path: '/api/lists/getUsers?listId=1&listid=1' },
      said: 'query of GET /api/lists/getUsers:  must NOT have additional properties ("listid")',
    },
    {
      title: 'a parameter that is missing',
      asked: { method: 'GET', path: '/api/lists/getUsers' },
      said: "query of GET /api/lists/getUsers:  must have required property 'listId'",
    },
    {
      title: 'a parameter of another type',
      asked: { method: 'GET', path: '/api/lists/getUsers?listId=one' },
      said: 'query of GET /api/lists/getUsers: /listId must be integer',
    },
    {
      title: 'a part of the path of another type',
      asked: { method: 'GET', path: '/api/lists/one/size' },
      said: 'path of GET /api/lists/{listId}/size: /listId must be integer',
    },
    {
      title: 'a key that there is not',
      asked: { path: '/api/lists/subscribe', body: { listId: 1, subscribers: [{ mail: 'a@example.com' }] } },
      said: 'body of POST /api/lists/subscribe: /subscribers/0 must NOT have additional properties ("mail")',
    },
    {
      title: 'a value of another type',
      asked: { path: '/api/lists/unsubscribe', body: { listId: '1', subscribers: [] } },
      said: 'body of POST /api/lists/unsubscribe: /listId must be integer',
    },
    {
      title: 'a body that is missing',
      asked: { path: '/api/lists' },
      said: 'POST /api/lists has no body',
    },
    {
      title: 'a body of another media type',
      asked: { path: '/api/lists', type: 'text/plain', body: { name: 'a' } },
      said: 'POST /api/lists takes no body of type text/plain',
    },
    {
      title: 'a body that is not JSON',
      asked: { path: '/api/lists', body: '{' },
      said: 'body of POST /api/lists is not JSON',
    },
  ])('Iterable, $title', async ({ asked, said }) => {
    const partners = await startPartners();
    await partners.askIterable(asked);
    await expect(partners.sandbox.stop()).rejects.toThrow(said);
  });

  test.each<{ title: string; asked: Asked; said: string }>([
    {
      title: 'a field that there is not',
      asked: { path: '/api/query/engage?project_id=1', type: FORM, body: 'cohort=1' },
      said: 'body of POST /api/query/engage:  must NOT have additional properties ("cohort")',
    },
    {
      title: 'a cohort that is no JSON',
      asked: { path: '/api/2.0/engage?project_id=1', type: FORM, body: 'filter_by_cohort=7' },
      said: 'body of POST /api/2.0/engage: /filter_by_cohort must match format "json-cohort"',
    },
    {
      title: 'no project',
      asked: { path: '/api/query/cohorts/list', type: FORM },
      said: "query of POST /api/query/cohorts/list:  must have required property 'project_id'",
    },
  ])('Mixpanel, $title', async ({ asked, said }) => {
    const partners = await startPartners();
    await partners.askMixpanel(asked);
    await expect(partners.sandbox.stop()).rejects.toThrow(said);
  });

  test.each<{ title: string; asked: Asked; said: string }>([
    {
      title: 'a key beside event and properties',
      asked: { path: '/import?strict=1&project_id=1', body: [{ ...EVENT, time: 1 }] },
      said: 'body of POST /import: /0 must NOT have additional properties ("time")',
    },
    {
      title: 'an event without a time',
      asked: { path: '/import?strict=1&project_id=1', body: [{ event: 'a', properties: {} }] },
      said: "body of POST /import: /0/properties must have required property 'time'",
    },
    {
      title: 'nobody says whether it is strict',
      asked: { path: '/import?project_id=1', body: [EVENT] },
      said: "query of POST /import:  must have required property 'strict'",
    },
  ])('an import, $title', async ({ asked, said }) => {
    const partners = await startPartners();
    await partners.importEvents(asked);
    await expect(partners.sandbox.stop()).rejects.toThrow(said);
  });

  test('also beside the service of a test', async () => {
    const app = await startTestApp();
    await fetch(`${app.sandbox.env.ITERABLE_BASE_URL_US}/api/users`);
    await expect(app[Symbol.asyncDispose]()).rejects.toThrow('GET /api/users is in no document');
  });

  test('also when a fault meets it', async () => {
    const partners = await startPartners();
    partners.sandbox.faults.add({ operation: 'iterable', reply: { status: 503 } });
    await partners.askIterable({ path: '/api/lists/subscribe', body: { listId: 1 } });
    await expect(partners.sandbox.stop()).rejects.toThrow("must have required property 'subscribers'");
  });
});

describe('an answer of the sandbox that breaches the document fails the test:', () => {
  test('a list of a type that there is not', async () => {
    const { sandbox, iterable, askIterable } = await startPartners();
    Object.assign(iterable.addList('Trial'), { listType: 'Static' });
    await askIterable({ method: 'GET', path: '/api/lists' });
    await expect(sandbox.stop()).rejects.toThrow(
      'answer 200 of GET /api/lists: /lists/0/listType must be equal to one of the allowed values (["Standard","Dynamic","Suppression","Internal"])',
    );
  });

  test('a cohort with a count that is no number', async () => {
    const { sandbox, mixpanel, askMixpanel } = await startPartners();
    mixpanel.addCohort({ name: 'Trial', members: { count: 0.5, member: () => ({ distinctId: 'a' }) } });
    await askMixpanel({ path: `/api/query/cohorts/list?project_id=${mixpanel.id}`, type: FORM });
    await expect(sandbox.stop()).rejects.toThrow(
      'answer 200 of POST /api/query/cohorts/list: /0/count must be integer',
    );
  });

  test('but not one that a fault gives in its place', async () => {
    const { sandbox, askIterable } = await startPartners();
    sandbox.faults.add({ operation: 'iterable', reply: { status: 418, body: 'tea' } });
    expect(await askIterable({ method: 'GET', path: '/api/lists' })).toBe(418);
    await sandbox.stop();
  });
});

test.each(operationsOf('iterable'))(
  'the sandbox plays %s of Iterable, and refuses what it cannot read as the document says',
  async (name) => {
    const { sandbox, askIterable } = await startPartners({ checksRequests: false });
    const [method = '', path = ''] = name.split(' ');
    for (const place of ['0', 'nobody@example.com']) {
      await askIterable({ method, path: path.replace(/\{\w+\}/, place) });
    }
    expect(sandbox.calls.all.map(({ operation, status }) => [operation, status])).not.toContainEqual([
      'iterable.unknown',
      404,
    ]);
    await sandbox.stop();
  },
);

test('lists are answered as the document says, refusals too', async () => {
  const { sandbox, iterable, askIterable } = await startPartners({ checksRequests: false });
  const { id } = iterable.addList('Trial', { description: 'All of them' });
  iterable.addList('Suppressed', { listType: 'Suppression' });
  const get = (path: string) => askIterable({ method: 'GET', path });
  const write = (path: string, body: unknown) => askIterable({ path, body });
  const people = [{ email: 'a@example.com' }, { userId: 'u-1' }, { email: 'nobody' }];
  expect(await write('/api/lists/subscribe', { listId: id, subscribers: people })).toBe(200);
  expect(await write('/api/lists/unsubscribe', { listId: id, subscribers: people })).toBe(200);
  expect(await write('/api/lists/subscribe', { listId: 9, subscribers: people })).toBe(400);
  expect(await write('/api/lists/subscribe', { subscribers: people })).toBe(400);
  expect(await write('/api/lists/subscribe', 'x'.repeat(4_000_001))).toBe(413);
  expect(await write('/api/lists', { name: 'New' })).toBe(200);
  expect(await write('/api/lists', { name: 'New' })).toBe(400);
  expect(await get('/api/lists')).toBe(200);
  expect(await get(`/api/lists/getUsers?listId=${id}`)).toBe(200);
  expect(await get('/api/lists/getUsers?listId=9')).toBe(400);
  expect(await get(`/api/lists/previewUsers?listId=${id}&size=1`)).toBe(200);
  for (let count = 0; count < 5; count++) expect(await get(`/api/lists/${id}/size`)).toBe(200);
  expect(await get(`/api/lists/${id}/size`)).toBe(429);
  expect(await askIterable({ method: 'DELETE', path: `/api/lists/${id}` })).toBe(200);
  expect(await askIterable({ method: 'DELETE', path: `/api/lists/${id}` })).toBe(400);
  iterable.list('New')!.isInUse = true;
  expect(await askIterable({ method: 'DELETE', path: `/api/lists/${iterable.list('New')!.id}` })).toBe(409);
  for (const key of iterable.keys.keys()) iterable.revokeKey(key);
  expect(await get('/api/lists')).toBe(401);
  await sandbox.stop();
});

test('cohorts and their members are answered as the document says, refusals too', async () => {
  const { sandbox, mixpanel, askMixpanel } = await startPartners({ checksRequests: false });
  const members = [{ distinctId: 'a', properties: { $email: 'a@example.com' } }, { distinctId: 'b' }];
  const { id } = mixpanel.addCohort({ name: 'Trial', members });
  mixpanel.addCohort({ name: 'Groups', members: [], isGroup: true });
  const query = `project_id=${mixpanel.id}`;
  const engage = (form: string, project = query) =>
    askMixpanel({ path: `/api/query/engage?${project}`, type: FORM, body: form });
  const form = `filter_by_cohort={"id":${id}}&output_properties=["$email"]&include_all_users=true`;
  expect(await askMixpanel({ path: `/api/2.0/cohorts/list?${query}`, type: FORM })).toBe(200);
  expect(await engage(form)).toBe(200);
  expect(await engage(`${form}&page=1`)).toBe(400);
  expect(await engage(`${form}&page=1&session_id=1-a`)).toBe(400);
  expect(await engage(form, 'project_id=2')).toBe(403);
  mixpanel.settings.queriesPerHour = 0;
  expect(await engage(form)).toBe(429);
  mixpanel.settings.hasApi = false;
  expect(await engage(form)).toBe(402);
  await sandbox.stop();
});

test('imports are answered as the document says, refusals too', async () => {
  const { sandbox, mixpanel, importEvents } = await startPartners({ checksRequests: false });
  const send = (body: unknown, project = mixpanel.id) =>
    importEvents({ path: `/import?strict=1&project_id=${project}`, body });
  expect(await send([EVENT])).toBe(200);
  expect(await send([EVENT, { event: 'emailSend', properties: {} }])).toBe(400);
  expect(await send([{ ...EVENT, event: '$identify' }])).toBe(400);
  expect(await send([EVENT], '2')).toBe(403);
  mixpanel.settings.maxImportBytes = 10;
  expect(await send([EVENT])).toBe(413);
  mixpanel.settings.importAllowed = false;
  expect(await send([EVENT])).toBe(401);
  await sandbox.stop();
});
