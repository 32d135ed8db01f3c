import { expect, test } from 'vitest';
import { makeEvents } from '../sandbox/iterable/sample-events.ts';
import { createRandom } from '../sandbox/random.ts';
import { countEvents } from './support/count-events.ts';
import { createEventSender, type IterableEvent, readUsage, untilCarried } from './support/iterable-events.ts';
import { startTestApp } from './support/test-app.ts';

const NOW = { now: '2030-12-10T12:00:00.000Z' };

const byName = <T extends { event: string }>(list: readonly T[]) =>
  [...list].sort((left, right) => (left.event < right.event ? -1 : 1));

test.for([1, 2])(
  'a month is what a count of everything that was sent says, in any order, with repeats and refusals (seed %i)',
  { timeout: 120_000 },
  async (seed) => {
    await using app = await startTestApp(NOW);
    await app.connect({ idMerge: 'SIMPLIFIED' });
    const refused = 'inAppClick';
    app.mixpanel.settings.refusedEvents = [{ event: refused, message: 'not this one' }];
    const { endpoint } = await createEventSender(app);
    const events = [
      ...makeEvents({
        count: 2_000,
        people: { count: 120, prefix: 'p' },
        projectType: 'HYBRID',
        seed,
        from: Date.parse('2030-11-25T00:00:00Z'),
        to: Date.parse('2030-12-07T00:00:00Z'),
      }),
    ];
    const random = createRandom(seed);
    const repeated = events.filter(() => random() < 0.1);
    const sent = [...events, ...repeated];
    const outcome = await app.sandbox.iterable.sender.send(
      { url: endpoint.url, auth: { type: 'bare', token: endpoint.password } },
      sent,
      { isShuffled: true, random },
    );
    expect(outcome).toMatchObject({ sent: sent.length, failed: 0 });
    for (const month of ['2030-11', '2030-12']) {
      const { byEvent, byCampaign: _, ...usage } = await untilCarried(app, month);
      const expected = countEvents(sent as IterableEvent[], month, (event) => event.eventName === refused);
      expect(expected.eventsRejected).toBeGreaterThan(0);
      expect(usage).toEqual({
        ...expected,
        byEvent: undefined,
        eventsPending: 0,
        echoesDropped: 0,
      });
      expect(byName(byEvent)).toEqual(byName(expected.byEvent));
      expect(app.mixpanel.imported.mtus(month)).toBe(expected.countedUsers);
    }
  },
);

test('who counts is told by the campaign that made them count, also when that event is refused later', async () => {
  await using app = await startTestApp(NOW);
  await app.connect({ idMerge: 'SIMPLIFIED' });
  app.mixpanel.settings.refusedEvents = [{ event: 'emailClick', message: 'not this one' }];
  const { send } = await createEventSender(app);
  const event = (userId: string, eventName: string, campaign: number | null, day: number) =>
    send({
      userId,
      eventName,
      dataFields: {
        createdAt: `2030-12-0${day} 10:00:00 +00:00`,
        messageId: `${userId}-${eventName}-${day}`,
        ...(campaign === null ? {} : { campaignId: campaign, campaignName: `Campaign ${campaign}` }),
      },
    });
  // A send counts for nothing; of two opens the earlier one does, whichever comes first.
  await event('ann', 'emailSend', 1, 1);
  await event('ann', 'emailOpen', 3, 5);
  await event('ann', 'emailOpen', 2, 3);
  await event('ben', 'emailClick', 4, 2);
  await event('ben', 'emailOpen', 5, 4);
  await event('cat', 'emailClick', 4, 2);
  await event('dan', 'pushUninstall', null, 2);
  const { byCampaign } = await untilCarried(app, '2030-12');
  expect(byCampaign).toEqual([
    { campaignId: '2', campaignName: 'Campaign 2', users: 1 },
    { campaignId: '5', campaignName: 'Campaign 5', users: 1 },
    { campaignId: null, campaignName: null, users: 1 },
  ]);
});

test('a campaign whose event was refused is not the one that made somebody count later', async () => {
  await using app = await startTestApp(NOW);
  await app.connect({ idMerge: 'SIMPLIFIED' });
  app.mixpanel.settings.refusedEvents = [{ event: 'emailClick', message: 'not this one' }];
  const { send } = await createEventSender(app);
  const event = (eventName: string, campaignId: number) =>
    send({
      userId: 'ann',
      eventName,
      dataFields: {
        createdAt: `2030-12-0${campaignId} 10:00:00 +00:00`,
        messageId: eventName,
        campaignId,
        campaignName: `Campaign ${campaignId}`,
      },
    });
  await event('emailSend', 1);
  await event('emailClick', 2);
  expect(await untilCarried(app, '2030-12')).toMatchObject({ eventsRejected: 1, byCampaign: [] });
  await event('emailOpen', 3);
  expect((await untilCarried(app, '2030-12')).byCampaign).toEqual([
    { campaignId: '3', campaignName: 'Campaign 3', users: 1 },
  ]);
});

test('what if an event counted, or were not sent', async () => {
  await using app = await startTestApp(NOW);
  await app.connectIterable();
  const { send } = await createEventSender(app);
  const all: [string, string[]][] = [
    ['ann', ['emailSend', 'emailOpen', 'emailOpen']],
    ['ben', ['emailSend', 'emailOpen', 'emailClick']],
    ['cat', ['emailSend']],
    ['dan', ['pushSend']],
  ];
  for (const [userId, names] of all) {
    for (const [place, eventName] of names.entries()) {
      await send({ userId, eventName, dataFields: { messageId: `${userId}-${place}` } });
    }
  }
  const ask = async (event: string) =>
    (
      await app.api.query(
        `query ($event: String!) { messagingUsage(month: "2030-12") { countedUsers whatIf(event: $event) {
          event exempt users countedUsers difference } } }`,
        { event },
      )
    ).messagingUsage;
  expect((await ask('emailOpen')).countedUsers).toBe(2);
  const whatIf = async (event: string) => (await ask(event)).whatIf;
  expect(await whatIf('emailOpen')).toEqual({
    event: 'emailOpen',
    exempt: false,
    users: 2,
    countedUsers: 1,
    difference: -1,
  });
  expect(await whatIf('emailClick')).toMatchObject({ users: 1, countedUsers: 2, difference: 0 });
  expect(await whatIf('emailSend')).toMatchObject({ exempt: true, users: 3, countedUsers: 3, difference: 1 });
  expect(await whatIf('pushSend')).toMatchObject({ exempt: true, users: 1, countedUsers: 3, difference: 1 });
  expect(await whatIf('neverSeen')).toMatchObject({
    exempt: false,
    users: 0,
    countedUsers: 2,
    difference: 0,
  });
});

test('a month that is none is refused, and one in which nothing came is empty', async () => {
  await using app = await startTestApp(NOW);
  for (const month of ['2030-13', '2030-1', '2030-00', 'december', '']) {
    const error = await app.api.fail('query ($month: String!) { messagingUsage(month: $month) { month } }', {
      month,
    });
    expect([month, error.extensions.code]).toEqual([month, 'BAD_USER_INPUT']);
  }
  expect(await readUsage(app, '2029-01')).toMatchObject({ month: '2029-01', eventsReceived: 0, byEvent: [] });
});

test('a dashboard is shown the month as it is, then its changes, at most one a second and the newest always', async () => {
  await using app = await startTestApp(NOW);
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const { send } = await createEventSender(app);
  const client = app.api.webSocket();
  const values = client.iterate({
    query: 'subscription { messagingUsageUpdated { month eventsReceived eventsImported eventsPending } }',
  });
  const begunAt = performance.now();
  const arrivals: { received: number; imported: number }[] = [];
  const take = async () => {
    const { value } = await values.next();
    const usage = value.data.messagingUsageUpdated;
    arrivals.push({ received: usage.eventsReceived, imported: usage.eventsImported });
    return usage;
  };
  expect(await take()).toEqual({ month: '2030-12', eventsReceived: 0, eventsImported: 0, eventsPending: 0 });
  const sending = (async () => {
    for (let place = 0; place < 60; place++) {
      await send({ userId: `p${place}`, eventName: 'emailOpen' });
      // Filed at once, so that the month changes sixty times.
      await readUsage(app, '2030-12');
    }
  })();
  while (arrivals.at(-1)!.imported < 60) await take();
  await sending;
  expect(arrivals.at(-1)).toMatchObject({ received: 60, imported: 60 });
  // The first at once, and each of the others a second after the one before it at the earliest.
  expect((arrivals.length - 1) * 1_000).toBeLessThanOrEqual(performance.now() - begunAt);
  const received = arrivals.map((one) => one.received);
  expect(received).toEqual([...received].sort((left, right) => left - right));
  await client.dispose();
});

test('a dashboard of another month hears nothing of this one', async () => {
  await using app = await startTestApp(NOW);
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const { send } = await createEventSender(app);
  const query = (month: string) =>
    `subscription { messagingUsageUpdated(month: "${month}") { month eventsReceived } }`;
  const before = app.api.sse(query('2030-11'));
  const now = app.api.sse(query('2030-12'));
  await before.next();
  await now.next();
  await send({ userId: 'ann', eventName: 'emailOpen' });
  expect((await now.next()).value.messagingUsageUpdated).toEqual({ month: '2030-12', eventsReceived: 1 });
  await send({
    userId: 'ann',
    eventName: 'pushOpen',
    dataFields: { createdAt: '2030-11-05 00:00:00 +00:00' },
  });
  expect((await before.next()).value.messagingUsageUpdated).toEqual({ month: '2030-11', eventsReceived: 1 });
  await Promise.all([before.return(undefined), now.return(undefined)]);
});
