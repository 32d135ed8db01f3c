import { describe, expect, test } from 'vitest';
import { makeEvents, type SampleEventsOptions } from '../sandbox/iterable/sample-events.ts';
import type { WebhookAuth, WebhookEvent } from '../sandbox/iterable/send-events.ts';
import type { Sandbox } from '../sandbox/start-sandbox.ts';
import { startBareSandbox } from './support/bare-sandbox.ts';
import { startEventReceiver } from './support/event-receiver.ts';

const NO_AUTH: WebhookAuth = { type: 'none' };
const numbered = (count: number): WebhookEvent[] =>
  Array.from({ length: count }, (_, index) => ({ eventName: 'emailOpen', dataFields: { index } }));
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the sandbox sends events as Iterable:', () => {
  test('one event a request, ten at a time', async () => {
    await using bare = await startBareSandbox();
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    await using receiver = await startEventReceiver(() => released.then(() => 200));
    const sending = bare.sandbox.iterable.sender.send({ url: receiver.url, auth: NO_AUTH }, numbered(25));
    await receiver.until(10);
    release();
    expect(await sending).toEqual({ sent: 25, calls: 25, failed: 0, statuses: { 200: 25 } });
    expect(receiver.mostOpen).toBe(10);
    expect(receiver.received[0]).toMatchObject({
      headers: { 'content-type': 'application/json' },
      event: { eventName: 'emailOpen', dataFields: { index: 0 } },
    });
  });

  test.each<[WebhookAuth, Record<string, string | undefined>]>([
    [{ type: 'none' }, { authorization: undefined }],
    [{ type: 'bare', token: 't-1' }, { authorization: 't-1' }],
    [{ type: 'basic', token: 't-1' }, { authorization: 'Basic t-1' }],
    [{ type: 'basic', username: 'u', password: 'p:q' }, { authorization: basic('u:p:q') }],
    [{ type: 'oauth2', token: 't-1' }, { authorization: 'OAuth2 t-1' }],
    [{ type: 'bearer', token: 't-1' }, { authorization: 'Bearer t-1' }],
    [
      { type: 'header', header: 'X-Secret', token: 't-1' },
      { 'x-secret': 't-1', authorization: undefined },
    ],
  ])('it shows who it is: %o', async (auth, headers) => {
    await using bare = await startBareSandbox();
    await using receiver = await startEventReceiver();
    await bare.sandbox.iterable.sender.send({ url: receiver.url, auth }, numbered(1));
    const seen = receiver.received[0]!.headers;
    expect(Object.fromEntries(Object.keys(headers).map((name) => [name, seen[name]]))).toEqual(headers);
  });

  test('an event that is not taken is sent three times more, then given up', async () => {
    await using bare = await startBareSandbox();
    const { sender } = bare.sandbox.iterable;
    await using receiver = await startEventReceiver((nth) => [503, 404, 302, 204][nth - 1] ?? 500);
    const target = { url: receiver.url, auth: NO_AUTH };
    expect(await sender.send(target, numbered(1), { firstWaitMs: 1 })).toEqual({
      sent: 1,
      calls: 4,
      failed: 0,
      statuses: { 204: 1, 302: 1, 404: 1, 503: 1 },
    });
    expect(await sender.send(target, numbered(1), { firstWaitMs: 1 })).toEqual({
      sent: 0,
      calls: 4,
      failed: 1,
      statuses: { 500: 4 },
    });
  });

  test('a receiver that is gone counts as status 0', async () => {
    await using bare = await startBareSandbox();
    const receiver = await startEventReceiver();
    await receiver[Symbol.asyncDispose]();
    const target = { url: receiver.url, auth: NO_AUTH };
    expect(await bare.sandbox.iterable.sender.send(target, numbered(2), { firstWaitMs: 0 })).toEqual({
      sent: 0,
      calls: 8,
      failed: 2,
      statuses: { 0: 8 },
    });
  });

  test('events come in any order, and a share of them twice, on demand', async () => {
    await using bare = await startBareSandbox();
    await using receiver = await startEventReceiver();
    const target = { url: receiver.url, auth: NO_AUTH };
    const { sender } = bare.sandbox.iterable;
    const { sent } = await sender.send(target, numbered(100), {
      isShuffled: true,
      isRepeated: 0.5,
      concurrency: 1,
    });
    const indexes = receiver.received.map(({ event }) => event.dataFields.index as number);
    expect(sent).toBe(indexes.length);
    expect(indexes.length).toBeGreaterThan(100);
    expect(indexes.length).toBeLessThan(200);
    expect(new Set(indexes).size).toBe(100);
    expect(indexes).not.toEqual([...indexes].sort((a, b) => a - b));
  });

  test('the sandbox stops while it sends', async () => {
    await using bare = await startBareSandbox();
    await using receiver = await startEventReceiver((nth) => (nth === 1 ? new Promise(() => {}) : 500));
    const target = { url: receiver.url, auth: NO_AUTH };
    const sending = bare.sandbox.iterable.sender.send(target, numbered(1000), { concurrency: 2 });
    await receiver.until(2);
    await bare.sandbox.stop();
    expect(await sending).toMatchObject({ sent: 0, failed: 0 });
    expect(receiver.received).toHaveLength(2);
  });

  test('another process has events sent that are given or made up', async () => {
    await using bare = await startBareSandbox();
    await using receiver = await startEventReceiver();
    const project = bare.sandbox.iterable.addProject({ type: 'EMAIL' });
    const target = { project: project.id, url: receiver.url, auth: { type: 'bearer', token: 't' } };
    const send = (more: object) => control(bare.sandbox, 'POST', 'events', { ...target, ...more });
    const events = [{ email: 'a@example.com', eventName: 'emailSend', dataFields: { campaignId: 1 } }];
    const taken = (count: number) => ({
      status: 200,
      json: { sent: count, calls: count, failed: 0, statuses: { 200: count } },
    });
    expect(await send({ events })).toEqual(taken(1));
    expect(receiver.received[0]!.event).toEqual(events[0]);
    const made = { count: 30, people: { count: 5, prefix: 'trial' }, seed: 7 };
    expect(await send({ made, isRepeated: 1, isShuffled: true })).toEqual(taken(60));
    expect(receiver.received[1]!.event.dataFields.email).toMatch(/^trial\.[0-4]@example\.com$/);
    expect((await send({})).status).toBe(400);
    expect((await send({ events, project: 1 })).status).toBe(400);
  });
});

describe('events that are made up', () => {
  const DAY_MS = 24 * 3_600_000;
  const to = Date.parse('2030-01-08T00:00:00Z');
  const make = (options: Partial<SampleEventsOptions> = {}) => [
    ...makeEvents({
      count: 20_000,
      people: { count: 500, prefix: 'p' },
      projectType: 'HYBRID',
      seed: 1,
      from: to - 7 * DAY_MS,
      to,
      ...options,
    }),
  ];

  test('are the same for the same seed, and others for another', () => {
    expect(make({ count: 50 })).toEqual(make({ count: 50 }));
    expect(make({ count: 50, seed: 2 })).not.toEqual(make({ count: 50 }));
  });

  test('are of many kinds, each of them once, within their days', () => {
    const events = make();
    expect(events).toHaveLength(20_000);
    expect(new Set(events.map((event) => JSON.stringify(event))).size).toBe(20_000);
    expect([...new Set(events.map(({ eventName }) => eventName))].sort()).toEqual([
      'emailBounce',
      'emailClick',
      'emailComplaint',
      'emailOpen',
      'emailSend',
      'emailSendSkip',
      'emailSubscribe',
      'emailUnSubscribe',
      'hostedUnsubscribeClick',
      'inAppClick',
      'inAppOpen',
      'inAppSend',
      'pushBounce',
      'pushOpen',
      'pushSend',
      'pushSendSkip',
      'pushUninstall',
      'smsBounce',
      'smsClick',
      'smsReceived',
      'smsSend',
      'smsSendSkip',
      'webPushClick',
      'webPushSend',
      'webPushSendSkip',
    ]);
    for (const { dataFields } of events) {
      expect(dataFields.createdAt).toMatch(/^2030-01-0[1-8] \d\d:\d\d:\d\d \+00:00$/);
    }
  });

  test('tell of a message under its id from the send to the click', () => {
    const events = make();
    const click = events.find(({ eventName }) => eventName === 'emailClick')!;
    const { messageId } = click.dataFields;
    expect(messageId).toMatch(/^[0-9a-f]{32}$/);
    const story = events.filter(({ dataFields }) => dataFields.messageId === messageId);
    expect(story.map(({ eventName }) => eventName).slice(0, 3)).toEqual([
      'emailSend',
      'emailOpen',
      'emailClick',
    ]);
    expect(new Set(story.map(({ userId, email }) => userId ?? email)).size).toBe(1);
  });

  test('have nulls, objects within objects, and people with either identifier or both', () => {
    const events = make();
    const some = (isIt: (event: WebhookEvent) => boolean) => expect(events.some(isIt)).toBe(true);
    some(({ dataFields }) => dataFields.workflowId === null);
    some(({ dataFields }) => typeof dataFields.workflowId === 'number');
    some(({ dataFields }) => 'order' in Object(dataFields.transactionalData));
    some(({ email, userId }) => email !== undefined && userId !== undefined);
    some(({ email, userId }) => email !== undefined && userId === undefined);
    some(
      ({ email, userId, dataFields }) => email === undefined && userId !== undefined && !!dataFields.email,
    );
    some(({ email, dataFields }) => email === undefined && dataFields.email === undefined);
    expect(make({ projectType: 'EMAIL' }).every(({ email }) => email !== undefined)).toBe(true);
    expect(make({ projectType: 'USER_ID' }).every(({ userId }) => userId !== undefined)).toBe(true);
  });
});

async function control(sandbox: Sandbox, method: string, path: string, body: unknown) {
  const response = await fetch(`${sandbox.controlUrl}/_control/iterable/${path}`, {
    method,
    body: JSON.stringify(body),
  });
  return { status: response.status, json: await response.json() };
}
