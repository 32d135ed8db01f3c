import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { IterableProjectType } from '../sandbox/iterable/identity.ts';
import { callIterable, startBareSandbox } from './support/bare-sandbox.ts';

async function startProject(type: IterableProjectType) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.iterable.addProject({ type });
  const apiKey = project.addKey();
  return {
    ...bare,
    project,
    get: (path: string, key = apiKey) => callIterable(bare.sandbox, project, path, { apiKey: key }),
    post: (path: string, body: unknown, key = apiKey) =>
      callIterable(bare.sandbox, project, path, { body, apiKey: key }),
    remove: (path: string) => callIterable(bare.sandbox, project, path, { method: 'DELETE', apiKey }),
  };
}

const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const refusal = (status: number, code: string) => ({ status, json: { code } });

describe('users of the sandbox:', () => {
  test('who is not there is an empty object, and a malformed e-mail is refused', async () => {
    await using world = await startProject('EMAIL');
    for (const path of [
      '/api/users/getByEmail?email=a@example.com',
      '/api/users/a@example.com',
      '/api/users/byUserId?userId=a@example.com',
      '/api/users/byUserId/a%2Fb',
    ]) {
      expect(await world.get(path)).toMatchObject({ status: 200, json: {} });
      expect((await world.get(path)).text).toBe('{}');
    }
    for (const path of ['/api/users/getByEmail?email=nobody', '/api/users/nobody']) {
      expect(await world.get(path)).toMatchObject(refusal(400, 'InvalidEmailAddressError'));
    }
    for (const path of ['/api/users/getByEmail', '/api/users/byUserId?userId=']) {
      expect(await world.get(path)).toMatchObject(refusal(400, 'BadParams'));
    }
  });

  test('a userId is never taken for an e-mail', async () => {
    await using world = await startProject('HYBRID');
    world.project.users.add({ email: 'a@example.com' });
    world.project.users.add({ userId: 'a@example.com' });
    const { json } = await world.get('/api/users/byUserId/a%40example.com');
    expect(json).toMatchObject({ user: { email: '', userId: 'a@example.com' } });
    expect((await world.remove('/api/users/byUserId/a%40example.com')).status).toBe(200);
    expect([...world.project.users.all]).toMatchObject([{ email: 'a@example.com' }]);
  });

  test('a profile tells which lists it is on, and a deleted one is on none', async () => {
    await using world = await startProject('EMAIL');
    const [one, two] = [world.project.addList('One'), world.project.addList('Two')];
    await world.post('/api/lists/subscribe', {
      listId: two.id,
      subscribers: [{ email: 'a@example.com', dataFields: { plan: 'pro' } }],
    });
    expect((await world.get('/api/users/a@example.com')).json).toEqual({
      user: {
        email: 'a@example.com',
        dataFields: { plan: 'pro', email: 'a@example.com', emailListIds: [two.id] },
      },
    });
    expect((await world.remove('/api/users/a@example.com')).json).toEqual({
      msg: '',
      code: 'Success',
      params: null,
    });
    expect([one.members.size, two.members.size]).toEqual([0, 0]);
    expect((await world.remove('/api/users/a@example.com')).status).toBe(200);
    expect(await world.remove('/api/users/byUserId/u-1')).toMatchObject({
      status: 400,
      json: { msg: 'User does not exist. Email:  UserId: u-1' },
    });
  });

  test.each<{ type: IterableProjectType; body: object; status: number; code: string }>([
    { type: 'EMAIL', body: {}, status: 400, code: 'BadParams' },
    { type: 'EMAIL', body: { email: 'none' }, status: 400, code: 'InvalidEmailAddressError' },
    { type: 'EMAIL', body: { userId: 'blank ' }, status: 400, code: 'InvalidUserIdError' },
    { type: 'EMAIL', body: { userId: 'u-1' }, status: 400, code: 'UnknownUserIdError' },
    { type: 'EMAIL', body: { email: 'gone@example.com' }, status: 409, code: 'ForgottenUserError' },
    {
      type: 'HYBRID',
      body: { email: 'ann@example.com', userId: 'u-1' },
      status: 409,
      code: 'ExternalKeyConflict',
    },
    {
      type: 'HYBRID',
      body: { email: 'ann@example.com', dataFields: { signupDate: 'GGG' } },
      status: 400,
      code: 'RequestFieldsTypesMismatched',
    },
    { type: 'EMAIL', body: { email: 'a@example.com', dataFields: 7 }, status: 400, code: 'BadJsonBody' },
    { type: 'EMAIL', body: { userId: 'u-1', preferUserId: true }, status: 200, code: 'Success' },
    { type: 'USER_ID', body: { userId: 'u-1' }, status: 200, code: 'Success' },
  ])('update of $body in a project of type $type is $code', async ({ type, body, status, code }) => {
    await using world = await startProject(type);
    world.project.users.add({ email: 'ann@example.com', userId: 'u-ann' });
    world.project.forgetUsers('email', 'gone@example.com');
    expect(await world.post('/api/users/update', body)).toMatchObject(refusal(status, code));
  });

  test('fields that are not to be made are left out and named', async () => {
    await using world = await startProject('EMAIL');
    const users = [{ email: 'a@example.com', dataFields: { plan: 'pro', phoneNumber: '+4930' } }];
    const answer = await world.post('/api/users/bulkUpdate', { users, createNewFields: false });
    expect(answer.json).toMatchObject({ successCount: 1, createdFields: [], filteredOutFields: ['plan'] });
    const { json } = await world.get('/api/users/a@example.com');
    expect(json).toMatchObject({ user: { dataFields: { phoneNumber: '+4930' } } });
    expect(json).not.toMatchObject({ user: { dataFields: { plan: 'pro' } } });
  });

  test('who is forgotten is gone, stays out, and comes back once unforgotten', async () => {
    await using world = await startProject('HYBRID');
    const { project, get, post } = world;
    const list = project.addList('Trial');
    const subscribe = () =>
      post('/api/lists/subscribe', {
        listId: list.id,
        subscribers: [{ email: 'ann@example.com' }, { userId: 'Bob' }],
      });
    await subscribe();
    expect((await post('/api/users/forget', { email: 'Ann@Example.com' })).json).toMatchObject({
      code: 'Success',
    });
    expect((await post('/api/users/forget', { userId: 'Bob' })).json).toMatchObject({ code: 'Success' });
    expect(project.membersOf('Trial')).toEqual([]);
    expect((await get('/api/users/forgotten')).json).toEqual({ hashedEmails: [hash('ann@example.com')] });
    expect((await get('/api/users/forgottenUserIds')).json).toEqual({ hashedUserIds: [hash('bob')] });
    expect((await subscribe()).json).toMatchObject({
      failCount: 2,
      failedUpdates: { forgottenEmails: ['ann@example.com'], forgottenUserIds: ['Bob'] },
    });
    await post('/api/users/unforget', { email: 'ann@example.com' });
    expect((await get('/api/users/forgotten')).json).toEqual({ hashedEmails: [] });
    expect((await subscribe()).json).toMatchObject({ successCount: 1, failCount: 1 });
  });

  test('who is forgotten by a control is on no list either', async () => {
    await using world = await startProject('EMAIL');
    const { project, sandbox } = world;
    project.setMember(project.addList('Trial'), project.users.add({ email: 'ann@example.com' }), true);
    const { status } = await fetch(`${sandbox.controlUrl}/_control/iterable/forget`, {
      method: 'POST',
      body: JSON.stringify({ project: project.id, identifier: 'ann@example.com' }),
    });
    expect(status).toBe(200);
    expect(project.membersOf('Trial')).toEqual([]);
    expect((await world.get('/api/users/forgotten')).json).toEqual({
      hashedEmails: [hash('ann@example.com')],
    });
  });

  test('people are forgotten by what their project goes by', async () => {
    await using byEmail = await startProject('EMAIL');
    expect(await byEmail.post('/api/users/forget', { userId: 'u-1' })).toMatchObject(
      refusal(400, 'BadParams'),
    );
    expect(await byEmail.get('/api/users/forgottenUserIds')).toMatchObject(refusal(400, 'BadParams'));
    await using byUserId = await startProject('USER_ID');
    const email = { email: 'a@example.com' };
    expect(await byUserId.post('/api/users/unforget', email)).toMatchObject(refusal(400, 'BadParams'));
    expect(await byUserId.get('/api/users/forgotten')).toMatchObject(refusal(400, 'BadParams'));
    expect(await byUserId.remove('/api/users/a@example.com')).toMatchObject(refusal(400, 'BadParams'));
  });

  test.each([
    { path: '/api/users/getFields', count: 3 },
    { path: '/api/users/forgotten', count: 3 },
    { path: '/api/users/bulkUpdate', count: 5, body: { users: [] } },
    { path: '/api/users/forget', count: 3, body: { email: 'a@example.com' } },
    { path: '/api/channels', count: 100 },
  ])('$path is answered $count times a second', async ({ path, count, body }) => {
    await using world = await startProject('EMAIL');
    const ask = () => (body ? world.post(path, body) : world.get(path));
    for (let index = 0; index < count; index++) expect((await ask()).status).toBe(200);
    expect(await ask()).toMatchObject(refusal(429, 'RateLimitExceeded'));
    world.clock.advance({ seconds: 1 });
    expect((await ask()).status).toBe(200);
  });

  test('a read-only key reads and writes nothing', async () => {
    await using world = await startProject('EMAIL');
    const key = world.project.addKey({ readOnly: true });
    const reads = ['getFields', 'forgotten', 'getByEmail?email=a@example.com'].map(
      (name) => `/api/users/${name}`,
    );
    for (const path of [...reads, '/api/channels', '/api/messageTypes', '/api/campaigns', '/api/webhooks']) {
      expect((await world.get(path, key)).status).toBe(200);
    }
    const user = { email: 'a@example.com' };
    for (const [path, body] of [
      ['/api/users/update', user],
      ['/api/users/bulkUpdate', { users: [user] }],
      ['/api/users/forget', user],
      ['/api/users/unforget', user],
      ['/api/webhooks', { id: 1 }],
    ] as const) {
      expect(await world.post(path, body, key)).toMatchObject(refusal(401, 'BadApiKey'));
    }
    expect([...world.project.users.all]).toEqual([]);
  });

  test('a fault meets one operation and no other', async () => {
    await using world = await startProject('EMAIL');
    world.sandbox.faults.add({ operation: 'iterable.bulkUpdateUsers', reply: { status: 503, body: {} } });
    expect((await world.post('/api/users/bulkUpdate', { users: [] })).status).toBe(503);
    expect((await world.post('/api/users/update', { email: 'a@example.com' })).status).toBe(200);
  });
});
