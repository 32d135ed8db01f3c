import { describe, expect, test } from 'vitest';
import { callIterable, startBareSandbox } from './support/bare-sandbox.ts';
import { startEventReceiver } from './support/event-receiver.ts';

describe('changes of a list', () => {
  async function startEchoing() {
    const bare = await startBareSandbox();
    const receiver = await startEventReceiver();
    const project = bare.sandbox.iterable.addProject({
      type: 'EMAIL',
      webhook: { url: receiver.url, auth: { type: 'bare', token: 't-1' } },
    });
    const list = project.addList('Trial');
    const call = (action: string, ...subscribers: unknown[]) =>
      callIterable(bare.sandbox, project, `/api/lists/${action}`, {
        body: { listId: list.id, subscribers, channelUnsubscribe: false },
      });
    async function changeSettings(settings: object) {
      const response = await fetch(`${bare.sandbox.controlUrl}/_control/iterable/settings`, {
        method: 'PATCH',
        body: JSON.stringify({ project: project.id, settings }),
      });
      expect(response.status).toBe(200);
    }
    return {
      ...bare,
      receiver,
      project,
      list,
      call,
      changeSettings,
      [Symbol.asyncDispose]: async () => {
        await bare[Symbol.asyncDispose]();
        await receiver[Symbol.asyncDispose]();
      },
    };
  }

  test('are told to the webhook of the project, person by person, and only what changed', async () => {
    await using world = await startEchoing();
    await world.call('subscribe', { email: 'a@example.com', userId: 'u-1' }, { email: 'b@example.com' });
    await world.call('subscribe', { email: 'a@example.com' }, { email: 'no e-mail' });
    await world.call('unsubscribe', { email: 'b@example.com' }, { email: 'unknown@example.com' });
    await world.sandbox.iterable.sender.untilQueueIsEmpty();
    const ofList = { emailListIds: [world.list.id], channelIds: [], messageTypeIds: [] };
    const createdAt = '2030-01-01 00:00:00 +00:00';
    const events = world.receiver.received.map(({ event }) => event);
    expect(events).toHaveLength(3);
    expect(events).toContainEqual({
      email: 'a@example.com',
      userId: 'u-1',
      eventName: 'emailSubscribe',
      dataFields: {
        email: 'a@example.com',
        createdAt,
        profileUpdatedAt: createdAt,
        signupSource: 'ListAPI',
        ...ofList,
      },
    });
    expect(events[2]).toEqual({
      email: 'b@example.com',
      eventName: 'emailUnSubscribe',
      dataFields: { email: 'b@example.com', createdAt, unsubSource: 'ListAPI', ...ofList },
    });
    expect(world.receiver.received[0]!.headers.authorization).toBe('t-1');
  });

  test('are told to nobody while the project has no webhook', async () => {
    await using world = await startEchoing();
    await world.changeSettings({ webhook: null });
    await world.call('subscribe', { email: 'a@example.com' });
    await world.sandbox.iterable.sender.untilQueueIsEmpty();
    expect(world.receiver.received).toEqual([]);
    const { url } = world.receiver;
    await world.changeSettings({ webhook: { url, auth: { type: 'none' } } });
    await world.call('unsubscribe', { email: 'a@example.com' });
    await world.sandbox.iterable.sender.untilQueueIsEmpty();
    expect(world.receiver.received).toMatchObject([{ event: { eventName: 'emailUnSubscribe' } }]);
  });
});
