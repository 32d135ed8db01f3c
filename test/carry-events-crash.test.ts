import { expect, test } from 'vitest';
import { createEventSender, readUsage, untilCarried } from './support/iterable-events.ts';
import { SOON } from './support/mixpanel-waits.ts';
import { startService } from './support/service-process.ts';
import { startTestApp } from './support/test-app.ts';

test('a process is killed after Mixpanel has taken a batch and before it wrote that down: another one sends it again, and nothing counts twice', async () => {
  await using app = await startTestApp({ realTime: true, env: { ROLES: 'gateway' } });
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const { send } = await createEventSender(app);
  for (let place = 0; place < 5; place++) await send({ userId: `p${place}`, eventName: 'emailOpen' });
  const month = new Date().toISOString().slice(0, 7);
  expect(await readUsage(app, month)).toMatchObject({ eventsReceived: 5, eventsPending: 5 });

  app.sandbox.faults.add({ operation: 'mixpanel.import', hangAfter: true, times: 1 });
  const worker = { ...app.env, ROLES: 'worker' };
  await using first = startService(worker);
  await expect.poll(() => app.mixpanel.imported.accepted, SOON).toBe(5);
  await first.end('SIGKILL');
  expect(await readUsage(app, month)).toMatchObject({ eventsImported: 0, eventsPending: 5 });

  await using _second = startService(worker);
  expect(await untilCarried(app, month)).toMatchObject({ eventsImported: 5, countedUsers: 5 });
  expect(app.mixpanel.imported.accepted).toBe(10);
  expect(app.mixpanel.imported.distinct()).toHaveLength(5);
});

test('processes that file events are killed again and again: every event is filed once', {
  timeout: 180_000,
}, async () => {
  await using app = await startTestApp({ realTime: true, env: { ROLES: 'gateway' } });
  await app.connect({ idMerge: 'SIMPLIFIED' });
  const { send } = await createEventSender(app);
  const month = new Date().toISOString().slice(0, 7);
  let sent = 0;
  for (let round = 0; round < 3; round++) {
    await using worker = startService({ ...app.env, ROLES: 'worker' });
    const isFiling = async () =>
      (await app.app.sync.db.selectFrom('messaging_events').select('id').execute()).length > round * 400;
    const sending = (async () => {
      for (let place = 0; place < 400; place++) {
        await send({ userId: `p${place}`, eventName: 'emailOpen', dataFields: { messageId: `${sent++}` } });
      }
    })();
    // Told by the await below; nobody waits for it when the other fails.
    sending.catch(() => undefined);
    // A process is started while four hundred calls keep the processor busy.
    await expect.poll(isFiling, { timeout: 60_000 }).toBe(true);
    await worker.end('SIGKILL');
    await sending;
  }
  await using _last = startService({ ...app.env, ROLES: 'worker' });
  await expect
    .poll(async () => {
      const { eventsImported, eventsRejected, eventsPending } = await readUsage(app, month);
      return { eventsImported, eventsRejected, eventsPending };
    }, SOON)
    .toEqual({ eventsImported: sent, eventsRejected: 0, eventsPending: 0 });
  expect(await readUsage(app, month)).toMatchObject({
    eventsReceived: sent,
    eventsPending: 0,
    repeatsDropped: 0,
    countedUsers: 400,
  });
  expect(app.mixpanel.imported.distinct()).toHaveLength(sent);
});
