import { describe, expect, test } from 'vitest';
import { callIterable, startBareSandbox, toListUpdate } from './support/bare-sandbox.ts';

describe('the sandbox plays Iterable:', () => {
  test.each(['getUsers?listId=', 'previewUsers?listId=', 'size'])(
    '%s is answered five times a minute',
    async (name) => {
      await using bare = await startBareSandbox();
      const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
      const { id } = project.addList('Trial');
      const path = name === 'size' ? `/api/lists/${id}/size` : `/api/lists/${name}${id}`;
      const read = () => callIterable(bare.sandbox, project, path);
      for (let count = 0; count < 5; count++) {
        expect(await read()).toMatchObject({ status: 200, contentType: 'text/plain' });
      }
      expect(await read()).toMatchObject({
        status: 429,
        json: { code: 'RateLimitExceeded', params: { rateLimitReset: 60 } },
      });
      bare.clock.advance({ minutes: 1 });
      expect((await read()).status).toBe(200);
    },
  );

  test('unknown, revoked and read-only keys are refused as Iterable does', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const revoked = project.addKey();
    project.revokeKey(revoked);
    const readOnly = project.addKey({ readOnly: true });
    const lists = (apiKey: string) => callIterable(bare.sandbox, project, '/api/lists', { apiKey });
    expect(await lists('nobody')).toMatchObject({
      status: 401,
      json: { code: 'BadApiKey', msg: 'Invalid API key' },
    });
    const disabled = { status: 401, json: { msg: 'Disabled API key or insufficient privileges' } };
    expect(await lists(revoked)).toMatchObject(disabled);
    expect((await lists(readOnly)).status).toBe(200);
    const write = await callIterable(bare.sandbox, project, '/api/lists/subscribe', {
      apiKey: readOnly,
      ...toListUpdate(1),
    });
    expect(write).toMatchObject(disabled);
  });

  test('lists are told newest first, and a name is given once', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const create = (name: string) => callIterable(bare.sandbox, project, '/api/lists', { body: { name } });
    await create('first');
    await create('second');
    const { json } = await callIterable(bare.sandbox, project, '/api/lists');
    expect((json as { lists: { name: string }[] }).lists.map((list) => list.name)).toEqual([
      'second',
      'first',
    ]);
    expect(await create('first')).toMatchObject({ status: 400, json: { code: 'BadParams' } });
  });

  test('a list that is not there is a 400 with the code "Success"', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    expect(await callIterable(bare.sandbox, project, '/api/lists/subscribe', toListUpdate(9))).toMatchObject({
      status: 400,
      json: { msg: 'error.lists.invalidListId(9)', code: 'Success', params: { listId: 9 } },
    });
  });

  test.each(['', '?listId=', '?listId=seven', '?listId=1.5', '?listId=-1', '?listId=1&preferUserId=yes'])(
    'getUsers%s is refused and costs nothing',
    async (query) => {
      await using bare = await startBareSandbox();
      const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
      const { id } = project.addList('Trial');
      for (const name of ['getUsers', 'previewUsers']) {
        for (let count = 0; count < 6; count++) {
          expect(await callIterable(bare.sandbox, project, `/api/lists/${name}${query}`)).toMatchObject({
            status: 400,
            json: { code: 'BadParams' },
          });
        }
        const { status } = await callIterable(bare.sandbox, project, `/api/lists/${name}?listId=${id}`);
        expect(status).toBe(200);
      }
    },
  );

  test('size and deletion of a list that is no number are refused', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const refused = { status: 400, json: { code: 'BadParams' } };
    expect(await callIterable(bare.sandbox, project, '/api/lists/x/size')).toMatchObject(refused);
    const options = { method: 'DELETE' };
    expect(await callIterable(bare.sandbox, project, '/api/lists/x', options)).toMatchObject(refused);
  });

  test.each([
    'text/plain',
    'text/plain; charset=utf-8',
    'application/x-www-form-urlencoded',
    'application/jsonp',
  ])('JSON as %s is no JSON', async (type) => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const { id } = project.addList('Trial');
    for (const [path, body] of [
      ['/api/lists', { name: 'New' }],
      ['/api/lists/subscribe', { listId: id, subscribers: [{ email: 'a@example.com' }] }],
      ['/api/users/update', { email: 'a@example.com' }],
    ] as const) {
      expect(await callIterable(bare.sandbox, project, path, { body, type })).toMatchObject({
        status: 400,
        json: { code: 'BadJsonBody', msg: `[${path}] Invalid JSON body` },
      });
    }
    expect([project.lists.size, [...project.users.all]]).toEqual([1, []]);
  });

  test('JSON may say how it is encoded', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const options = { body: { name: 'New' }, type: 'application/json; charset=utf-8' };
    expect((await callIterable(bare.sandbox, project, '/api/lists', options)).status).toBe(200);
  });

  test('a value of another type is named by its path', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const users = [{ email: 'a@example.com' }, { email: 'b@example.com', preferUserId: 'yes' }];
    expect(
      await callIterable(bare.sandbox, project, '/api/users/bulkUpdate', { body: { users } }),
    ).toMatchObject({
      status: 400,
      json: { code: 'BadJsonBody', params: { 'obj.users[1].preferUserId': 'Boolean value expected' } },
    });
    expect([...project.users.all]).toEqual([]);
  });

  test('bad JSON, large bodies and unknown paths are refused', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const subscribe = (body: unknown) =>
      callIterable(bare.sandbox, project, '/api/lists/subscribe', { body });
    expect(await subscribe({ listId: 'x' })).toMatchObject({ status: 400, json: { code: 'BadJsonBody' } });
    expect((await subscribe({ listId: 1, subscribers: [], filler: 'x'.repeat(4_000_001) })).status).toBe(413);
    expect(await callIterable(bare.sandbox, project, '/api/nothing')).toMatchObject({
      status: 404,
      contentType: 'text/html',
    });
  });

  test('what a careful client does not send is complained of', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const { id } = project.addList('Trial', { listType: 'Dynamic' });
    await callIterable(bare.sandbox, project, '/api/lists/unsubscribe', {
      body: { listId: id, subscribers: [{ email: 'A@example.com', dataFields: {} }] },
    });
    expect(bare.sandbox.calls.complaints).toEqual([
      'unsubscribe to a list of type Dynamic',
      'unsubscribe without channelUnsubscribe: false',
      'unsubscribe with dataFields',
      'unsubscribe with an upper-case e-mail',
    ]);
  });
});
