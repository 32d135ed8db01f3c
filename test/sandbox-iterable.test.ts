import { describe, expect, test } from 'vitest';
import { callIterable, startBareSandbox } from './support/bare-sandbox.ts';

const update = (listId: number, ...subscribers: unknown[]) => ({
  body: { listId, subscribers, channelUnsubscribe: false },
});
const counts = (successCount: number, failCount: number) => ({ successCount, failCount });

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
      ...update(1),
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
    expect(await callIterable(bare.sandbox, project, '/api/lists/subscribe', update(9))).toMatchObject({
      status: 400,
      json: { msg: 'error.lists.invalidListId(9)', code: 'Success', params: { listId: 9 } },
    });
  });

  test('an e-mail project goes by the e-mail and overwrites the userId', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.users.add({ email: 'a@example.com', userId: 'old' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      update(
        id,
        { email: 'A@example.com', userId: 'new' },
        { userId: 'unknown' },
        { userId: 'wanted', preferUserId: true },
      ),
    );
    expect(answer.json).toMatchObject({ ...counts(2, 1), failedUpdates: { invalidUserIds: ['unknown'] } });
    expect(project.users.find('a@example.com')?.userId).toBe('new');
    expect(project.membersOf('Trial')).toEqual([
      'a@example.com',
      expect.stringMatching(/^wanted\+.*@placeholder\.email$/),
    ]);
  });

  test('a project keyed by userId has no use for an e-mail alone', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'USER_ID' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      update(
        id,
        { email: 'a@example.com' },
        { userId: 'u-1' },
        { userId: 'blank ' },
        { userId: 'u'.repeat(53) },
      ),
    );
    expect(answer.json).toMatchObject(counts(1, 3));
    expect(project.membersOf('Trial')).toEqual(['u-1']);
  });

  test('a hybrid project takes either, and refuses two that belong to different people', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'HYBRID' });
    project.users.add({ email: 'a@example.com' });
    project.users.add({ userId: 'u-1' });
    const { id } = project.addList('Trial');
    const answer = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      update(id, { email: 'a@example.com', userId: 'u-1' }, { email: 'b@example.com' }, { userId: 'u-2' }),
    );
    expect(answer.json).toMatchObject({
      ...counts(2, 1),
      failedUpdates: { conflictEmails: ['a@example.com'], conflictUserIds: ['u-1'] },
    });
    const read = (query: string) =>
      callIterable(bare.sandbox, project, `/api/lists/getUsers?listId=${id}${query}`);
    expect((await read('')).text).toBe('b@example.com\nu-2\n');
  });

  test('what exists in a hybrid project and belongs to somebody else is named, and nobody is changed', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'HYBRID' });
    project.users.add({ email: 'ann@example.com', userId: 'u-ann' });
    project.users.add({ email: 'new@example.com' });
    const { id } = project.addList('Trial');
    const subscribers = [
      { email: 'Ann@example.com', userId: 'u-other' },
      { email: 'other@example.com', userId: 'u-ann' },
      { email: 'ann@example.com', userId: 'u-ann' },
      { email: 'new@example.com', userId: 'u-new' },
    ];
    const send = (name: string) =>
      callIterable(bare.sandbox, project, `/api/lists/${name}`, update(id, ...subscribers));
    const clashes = {
      ...counts(2, 2),
      failedUpdates: { conflictEmails: ['ann@example.com'], conflictUserIds: ['u-ann'] },
    };
    expect((await send('subscribe')).json).toMatchObject(clashes);
    expect(project.membersOf('Trial')).toEqual(['ann@example.com', 'new@example.com']);
    expect([...project.users.all]).toMatchObject([
      { email: 'ann@example.com', userId: 'u-ann' },
      { email: 'new@example.com', userId: 'u-new' },
    ]);
    expect((await send('unsubscribe')).json).toMatchObject(clashes);
    expect(project.membersOf('Trial')).toEqual([]);
  });

  test('a userId that was overwritten names its person no longer', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.users.add({ email: 'a@example.com', userId: 'old' });
    project.users.add({ email: 'b@example.com', userId: 'old' });
    const { id } = project.addList('Trial');
    const subscribe = (...people: unknown[]) =>
      callIterable(bare.sandbox, project, '/api/lists/subscribe', update(id, ...people));
    await subscribe({ email: 'a@example.com', userId: 'new' });
    await subscribe({ userId: 'old' });
    expect(project.membersOf('Trial')).toEqual(['a@example.com', 'b@example.com']);
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
    const type2 = 'application/json; charset=utf-8';
    const taken = await callIterable(bare.sandbox, project, '/api/lists', {
      body: { name: 'New' },
      type: type2,
    });
    expect(taken.status).toBe(200);
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

  test('who is forgotten or unknown is named', async () => {
    await using bare = await startBareSandbox();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    project.users.forget('gone@example.com');
    const { id } = project.addList('Trial');
    const added = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/subscribe',
      update(id, { email: 'gone@example.com' }),
    );
    expect(added.json).toMatchObject({
      ...counts(0, 1),
      failedUpdates: { forgottenEmails: ['gone@example.com'] },
    });
    const removed = await callIterable(
      bare.sandbox,
      project,
      '/api/lists/unsubscribe',
      update(id, { email: 'x@example.com' }),
    );
    expect(removed.json).toMatchObject({
      ...counts(0, 1),
      failedUpdates: { notFoundEmails: ['x@example.com'] },
    });
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
