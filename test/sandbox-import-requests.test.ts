import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { record, startImporting } from './support/mixpanel-imports.ts';
import { basic } from './support/mixpanel-queries.ts';

const many = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('the sandbox takes imports as Mixpanel:', () => {
  test('JSON and lines of JSON are taken, compressed or not', async () => {
    await using world = await startImporting({ region: 'EU' });
    const ids = ['a', 'b', 'c', 'd'];
    const [a, b, c, d] = ids.map(($insert_id) => record({ $insert_id }));
    const lines = { 'content-type': 'application/x-ndjson' };
    const gzip = { 'content-encoding': 'gzip' };
    const compress = (text: string) => new Uint8Array(gzipSync(text));
    const taken = { status: 200, json: { code: 200, num_records_imported: 1, status: 'OK' } };
    expect(await world.importAll(a)).toEqual(taken);
    expect(await world.send(`${JSON.stringify(b)}\n`, { headers: lines })).toEqual(taken);
    expect(await world.send(compress(JSON.stringify([c])), { headers: gzip })).toEqual(taken);
    const both = { headers: { ...lines, ...gzip } };
    expect(await world.send(compress(JSON.stringify(d)), both)).toEqual(taken);
    expect(world.project.imported.all.map(({ insertId }) => insertId)).toEqual(ids);
    expect(world.sandbox.calls.of('mixpanel.import')).toMatchObject(ids.map(() => ({ events: 1 })));
    expect(world.sandbox.calls.complaints).toEqual([]);
  });

  test('credentials are wanted, with the project that they are for', async () => {
    await using world = await startImporting();
    const { send, project } = world;
    const body = JSON.stringify([record()]);
    const unauthorized = (error: string) => ({ status: 401, json: { error, status: 'Unauthorized' } });
    expect(await send(body, { headers: basic('a', 'b') })).toMatchObject(unauthorized('Invalid credentials'));
    expect(await send(body, { query: '?strict=1' })).toMatchObject(
      unauthorized('Unauthorized, invalid project secret.'),
    );
    expect((await send(body, { query: '?strict=1&project_id=1' })).status).toBe(403);
    const lesser = project.addServiceAccount({ importAllowed: false });
    expect(await send(body, { headers: basic(lesser.username, lesser.secret) })).toMatchObject(
      unauthorized('Invalid credentials'),
    );
    project.settings.importAllowed = false;
    expect(await send(body)).toMatchObject(unauthorized('Invalid credentials'));
    expect(project.imported.accepted).toBe(0);
  });

  test.each(['token', 'secret'] as const)('the %s of a project will do, and names it', async (way) => {
    await using world = await startImporting();
    const { send, project, sandbox } = world;
    const other = sandbox.mixpanel.addProject();
    const body = JSON.stringify([record()]);
    const headers = basic(project[way], '');
    expect((await send(body, { headers, query: '?strict=1' })).status).toBe(200);
    expect((await send(body, { headers })).status).toBe(200);
    expect((await send(body, { headers, query: `?strict=1&project_id=${other.id}` })).status).toBe(403);
    const foreign = sandbox.mixpanel.addProject({ region: 'EU' });
    for (const wrong of [basic(project[way], 'x'), basic('', ''), basic(foreign[way], '')]) {
      expect((await send(body, { headers: wrong, query: '?strict=1' })).status).toBe(401);
    }
    project.settings.importAllowed = false;
    expect((await send(body, { headers })).status).toBe(401);
    expect([project, other, foreign].map(({ imported }) => imported.accepted)).toEqual([2, 0, 0]);
  });

  test('two thousand events and so many bytes are the most, compressed or not', async () => {
    await using world = await startImporting({ maxImportBytes: 400_000 });
    const tooLarge = (limit: string) => ({
      status: 413,
      json: { code: 413, error: `request exceeds max limit of ${limit}`, status: 'Request Entity Too Large' },
    });
    const records = many(2000).map((index) => record({ $insert_id: `i-${index}` }));
    expect((await world.importAll(...records)).status).toBe(200);
    expect(await world.importAll(...records, record())).toEqual(tooLarge('2000 events'));
    const text = JSON.stringify([record({ text: 'x'.repeat(400_000) })]);
    expect(await world.send(text)).toEqual(tooLarge('400000 bytes'));
    const headers = { 'content-encoding': 'gzip' };
    expect(await world.send(new Uint8Array(gzipSync(text)), { headers })).toEqual(tooLarge('400000 bytes'));
    expect(world.project.imported.accepted).toBe(2000);
    expect(world.sandbox.calls.complaints).toEqual(['import of 2001 events']);
  });

  test('what cannot be read is refused whole', async () => {
    await using world = await startImporting();
    for (const body of ['{', '{}', '"x"']) expect((await world.send(body)).status).toBe(400);
    expect((await world.send('[]', { headers: { 'content-encoding': 'gzip' } })).status).toBe(400);
    expect((await world.send('[]', { method: 'PUT' })).status).toBe(404);
  });

  test('no events are none, and only JSON and lines of it are read', async () => {
    await using world = await startImporting();
    const refused = (error: string) => ({ status: 400, json: { code: 400, error, status: 'Bad Request' } });
    const lines = { 'content-type': 'application/x-ndjson' };
    const none = refused('the request body must have at least one record');
    expect(await world.send('[]')).toEqual(none);
    expect(await world.send('\n', { headers: lines })).toEqual(none);
    expect(await world.send('[]', { query: `?strict=0&project_id=${world.project.id}` })).toEqual(none);
    const body = JSON.stringify([record()]);
    for (const type of ['text/plain', 'text/plain;charset=UTF-8', 'application/xml', 'application/jsonx']) {
      expect(await world.send(body, { headers: { 'content-type': type } })).toEqual(
        refused('Content-Type must be application/json or application/x-ndjson'),
      );
    }
    expect((await world.send(body, { headers: { 'content-encoding': 'br' } })).status).toBe(400);
    expect(world.project.imported.accepted).toBe(0);
    const headers = { 'content-type': 'Application/JSON; charset=utf-8' };
    expect((await world.send(body, { headers })).status).toBe(200);
  });

  test('a lax import takes everything without a word and keeps what is good', async () => {
    await using world = await startImporting();
    const body = JSON.stringify([record(), record({ time: 'never' })]);
    const answer = await world.send(body, { query: `?project_id=${world.project.id}` });
    expect(answer).toMatchObject({ status: 200, json: { num_records_imported: 2 } });
    expect(world.project.imported.accepted).toBe(1);
    expect(world.sandbox.calls.complaints).toEqual(['import without strict=1']);
  });

  test('an import that is not strict makes up the id that is missing', async () => {
    await using world = await startImporting();
    const nameless = record({ $insert_id: undefined, distinct_id: undefined });
    const body = JSON.stringify([nameless, nameless, record({ $insert_id: '' })]);
    await world.send(body, { query: `?project_id=${world.project.id}` });
    const [first, second, ...others] = world.project.imported.all;
    expect(first).toMatchObject({ distinctId: '', insertId: expect.stringMatching(/^[0-9a-f-]{36}$/) });
    expect(second!.insertId).not.toBe(first!.insertId);
    expect(others).toEqual([]);
  });

  test.each<[string, string, RequestInit | undefined]>([
    ['base64 in a query', `data=${encodeURIComponent(btoa(JSON.stringify(record())))}`, undefined],
    ['JSON in a query', `data=${encodeURIComponent(JSON.stringify([record()]))}`, undefined],
    ['a form', '', { method: 'POST', body: new URLSearchParams({ data: btoa(JSON.stringify([record()])) }) }],
  ])(
    'as old clients send it, in %s, an event is answered 1, and one that is bad 0',
    async (_how, query, init) => {
      await using world = await startImporting();
      const { project, sandbox } = world;
      const base = `${sandbox.env.MIXPANEL_INGESTION_BASE_URL_US}/import?${query}`;
      const key = `api_key=${project.secret}`;
      const response = await fetch(`${base}&${key}`, init);
      expect([response.headers.get('content-type'), await response.text()]).toEqual(['text/plain', '1']);
      expect(await (await fetch(`${base}&${key}&verbose=1`, init)).json()).toEqual({ error: '', status: 1 });
      expect((await fetch(`${base}&api_key=wrong`, init)).status).toBe(401);
      expect(project.imported.accepted).toBe(2);
      const bad = `data=${encodeURIComponent('{"event":"x"}')}`;
      expect(await (await fetch(`${base.split('?')[0]}?${bad}&${key}`)).text()).toBe('0');
    },
  );

  test('a fault meets imports as it meets any operation', async () => {
    await using world = await startImporting();
    const body = { code: 429, error: 'Project exceeded rate limits.', status: 'Too Many Requests' };
    world.sandbox.faults.add({ operation: 'mixpanel.import', times: 1, reply: { status: 429, body } });
    world.sandbox.faults.add({ operation: 'mixpanel', times: 1, drop: 'after' });
    expect((await world.importAll(record())).status).toBe(429);
    await expect(world.importAll(record())).rejects.toThrow();
    expect(world.project.imported.accepted).toBe(1);
    expect(world.sandbox.calls.of('mixpanel.import').map(({ status }) => status)).toEqual([429, 0]);
  });
});
