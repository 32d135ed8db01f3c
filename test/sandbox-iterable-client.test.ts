import { IterableApiError, IterableClient } from '@iterable/api';
import { describe, expect, test } from 'vitest';
import { startBareSandbox } from './support/bare-sandbox.ts';
import { startEventReceiver } from './support/event-receiver.ts';

type ProjectOptions = Parameters<
  Awaited<ReturnType<typeof startBareSandbox>>['sandbox']['iterable']['addProject']
>[0];

async function startWithClient(options: Partial<ProjectOptions> = {}) {
  const bare = await startBareSandbox();
  const project = bare.sandbox.iterable.addProject({ type: 'EMAIL', ...options });
  const baseUrl = bare.sandbox.env.ITERABLE_BASE_URL_US!;
  return { ...bare, project, baseUrl, client: new IterableClient({ apiKey: project.addKey(), baseUrl }) };
}

describe("Iterable's own client against the sandbox", () => {
  test('makes a list, fills it, reads it back and deletes it', async () => {
    await using world = await startWithClient();
    const { client } = world;
    const { listId } = await client.createList({ name: 'Friends', description: 'All of them' });
    expect((await client.getLists()).lists).toMatchObject([
      { id: listId, name: 'Friends', description: 'All of them', listType: 'Standard' },
    ]);
    const added = await client.subscribeUserToList({
      listId,
      subscribers: [{ email: 'Ann@Example.com' }, { email: 'bob@example.com' }],
    });
    expect(added).toMatchObject({ successCount: 2, failCount: 0 });
    expect(await client.getListUsers({ listId })).toEqual({
      users: [{ email: 'ann@example.com' }, { email: 'bob@example.com' }],
    });
    expect(await client.getListSize({ listId })).toEqual({ size: 2 });
    expect(await client.getListPreviewUsers({ listId, size: 1 })).toEqual({ users: ['ann@example.com'] });
    const removed = await client.unsubscribeUserFromList({
      listId,
      subscribers: [{ email: 'ann@example.com' }],
    });
    expect(removed).toMatchObject({ successCount: 1, failCount: 0 });
    expect((await client.deleteList({ listId })).code).toBe('Success');
    expect((await client.getLists()).lists).toEqual([]);
  });

  test('finds and deletes users', async () => {
    await using world = await startWithClient();
    const { client, project } = world;
    project.users.add({ email: 'a+b@example.com', userId: 'u/1' });
    expect((await client.getUserByEmail({ email: 'a+b@example.com' })).user?.userId).toBe('u/1');
    expect((await client.getUserByUserId({ userId: 'u/1' })).user?.email).toBe('a+b@example.com');
    await client.deleteUserByEmail({ email: 'a+b@example.com' });
    expect(await client.getUserByEmail({ email: 'a+b@example.com' })).toEqual({});
    project.users.add({ email: 'one@example.com', userId: 'same' });
    project.users.add({ email: 'two@example.com', userId: 'same' });
    await client.deleteUserByUserId({ userId: 'same' });
    expect([...project.users.all]).toEqual([]);
  });

  test('finds somebody who has no e-mail', async () => {
    await using world = await startWithClient({ type: 'USER_ID' });
    const { client, project } = world;
    const list = project.addList('Trial');
    await client.subscribeUserToList({ listId: list.id, subscribers: [{ userId: 'Ann@7' }] });
    expect(await client.getUserByUserId({ userId: 'Ann@7' })).toEqual({
      user: { email: '', userId: 'Ann@7', dataFields: { userId: 'Ann@7', userListIds: [list.id] } },
    });
    expect(await client.getUserByUserId({ userId: 'ann@7' })).toEqual({});
  });

  test('updates users, one and many, and reads what it wrote', async () => {
    await using world = await startWithClient();
    const { client } = world;
    await client.updateUser({
      email: 'Ann@Example.com',
      dataFields: { plan: 'pro', address: { city: 'Bonn', zip: '53111' } },
    });
    const bulk = await client.bulkUpdateUsers({
      users: [
        { email: 'ann@example.com', dataFields: { address: { city: 'Berlin' } }, mergeNestedObjects: true },
        { email: 'bob@example.com', dataFields: { seats: 3 } },
        { email: 'nobody' },
        { email: 'cy@example.com', dataFields: { plan: 7 } },
      ],
    });
    expect(bulk).toMatchObject({
      successCount: 2,
      failCount: 2,
      createdFields: ['seats'],
      failedUpdates: { invalidEmails: ['nobody'] },
    });
    expect((await client.getUserByEmail({ email: 'ann@example.com' })).user?.dataFields).toMatchObject({
      plan: 'pro',
      address: { city: 'Berlin', zip: '53111' },
    });
    expect(await client.getUserByEmail({ email: 'cy@example.com' })).toEqual({});
    expect((await client.getUserFields()).fields).toMatchObject({
      email: 'string',
      plan: 'string',
      'address.city': 'string',
      seats: 'long',
    });
  });

  test('reads channels, message types and campaigns that belong together', async () => {
    await using world = await startWithClient();
    const { client } = world;
    const { channels } = await client.getChannels();
    expect(channels.map((channel) => channel.messageMedium).sort()).toEqual(['Email', 'Push', 'SMS']);
    const { messageTypes } = await client.getMessageTypes();
    const channelIds = channels.map((channel) => channel.id).sort();
    expect(messageTypes.map((type) => type.channelId).sort()).toEqual(channelIds);
    const { campaigns, totalCampaignsCount, nextPageUrl } = await client.getCampaigns({
      pageSize: 3,
      sort: { field: 'id', direction: 'desc' },
    });
    expect(campaigns).toHaveLength(3);
    expect(campaigns[0]!.id).toBeGreaterThan(campaigns[1]!.id);
    expect(totalCampaignsCount).toBeGreaterThan(3);
    expect(nextPageUrl).toMatch(/^\/api\/campaigns\?page=2&/);
    const running = await client.getCampaigns({ campaignState: ['Running'] });
    expect(new Set(running.campaigns.map((campaign) => campaign.campaignState))).toEqual(
      new Set(['Running']),
    );
    expect(await client.getCampaign({ id: campaigns[0]!.id })).toEqual(campaigns[0]);
    await expect(client.getCampaign({ id: 1 })).rejects.toMatchObject({ statusCode: 404 });
    await expect(client.getCampaigns({ page: 0 })).rejects.toMatchObject({ statusCode: 400 });
  });

  test("reads and changes the project's webhook, which then goes where it says", async () => {
    await using receiver = await startEventReceiver();
    await using world = await startWithClient({
      webhook: { url: 'http://localhost:9/nowhere', auth: { type: 'bare', token: 'old' } },
    });
    const { client, project, sandbox } = world;
    const { webhooks } = await client.getWebhooks();
    expect(webhooks).toMatchObject([{ endpoint: 'http://localhost:9/nowhere', authType: 'Basic' }]);
    // The client's types name other parameters than the document that it sends them to.
    const edit = {
      id: webhooks[0]!.id,
      endpoint: receiver.url,
      authType: 'OAuth2',
      authToken: 'new',
      headers: [{ key: 'X-Origin', value: 'trial' }],
    };
    const changed = await client.updateWebhook(edit as never);
    expect(changed).toEqual({ ...webhooks[0], endpoint: receiver.url, authType: 'OAuth2' });
    expect((await client.getWebhooks()).webhooks).toEqual([changed]);
    const { id: listId } = project.addList('Trial');
    const subscribe = (email: string) => client.subscribeUserToList({ listId, subscribers: [{ email }] });
    await subscribe('a@example.com');
    await sandbox.iterable.sender.untilQueueIsEmpty();
    await client.updateWebhook({ id: webhooks[0]!.id, enabled: false } as never);
    await subscribe('b@example.com');
    await sandbox.iterable.sender.untilQueueIsEmpty();
    expect(receiver.received.map(({ event }) => event.email)).toEqual(['a@example.com']);
    expect(receiver.received[0]!.headers).toMatchObject({ authorization: 'OAuth2 new', 'x-origin': 'trial' });
    await expect(client.updateWebhook({ id: 1 } as never)).rejects.toMatchObject({ statusCode: 400 });
  });

  test('is refused with errors that it understands', async () => {
    await using world = await startWithClient();
    const { client, baseUrl } = world;
    await expect(client.subscribeUserToList({ listId: 1, subscribers: [] })).rejects.toMatchObject({
      statusCode: 400,
    });
    const stranger = new IterableClient({ apiKey: 'f'.repeat(32), baseUrl });
    await expect(stranger.getLists()).rejects.toThrow(IterableApiError);
    await expect(stranger.getLists()).rejects.toMatchObject({ statusCode: 401 });
  });
});
