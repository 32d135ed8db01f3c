import { expect, test } from 'vitest';
import { readEvent } from '../src/events/read-event.ts';
import { type IdentityRules, resolveIdentity } from '../src/sync/identity.ts';
import { createEventSender, untilCarried } from './support/iterable-events.ts';
import { startTestApp } from './support/test-app.ts';

const PLACEHOLDERS = [
  ...['00000000-0000-0000-0000-000000000000', 'anon', 'anonymous', 'nil', 'None', 'NULL', 'n/a', 'NA'],
  ...['undefined', 'Unknown', '<nil>', '0', '-1', 'true', 'False', '[]', '{}'],
  ...['NaN', '(null)', '<null>', '\\N', '[object Object]', ' null\t'],
];
const NAMES = ['nullable', 'none@example.com', '00', '-10', 'nan-1', 'anonymous-7'];

const rules = (changed: Partial<IdentityRules>): IdentityRules => ({
  projectType: 'HYBRID',
  idMerge: 'ORIGINAL',
  userIdFallback: 'NONE',
  ...changed,
});
const member = (userId: unknown, distinctId = 'd-1', email: unknown = 'a@example.com') => ({
  distinctId,
  email,
  userId,
});

test.for(PLACEHOLDERS)('a userId of %j counts as absent', (word) => {
  const byEmail = { kind: 'subscriber', email: 'a@example.com', userId: undefined };
  const byUserId = { kind: 'subscriber', email: undefined, userId: 'd-1' };
  expect(resolveIdentity(member(word), rules({}))).toEqual(byEmail);
  expect(resolveIdentity(member(word, 'd-1', null), rules({ userIdFallback: 'DISTINCT_ID' }))).toEqual(
    byUserId,
  );
  // Also where the distinct_id would become one.
  expect(resolveIdentity(member(null, word), rules({ userIdFallback: 'DISTINCT_ID' }))).toEqual(byEmail);
  expect(resolveIdentity(member('u-1', word), rules({ idMerge: 'SIMPLIFIED' }))).toEqual(byEmail);
  expect(resolveIdentity(member(word), rules({ projectType: 'USER_ID' }))).toMatchObject({
    kind: 'rejected',
    reason: 'MISSING_USER_ID',
  });
  expect(resolveIdentity(member(word), rules({ projectType: 'EMAIL' }))).toEqual(byEmail);
  const event = { eventName: 'emailSend', userId: word, dataFields: { userId: 'u-2' } };
  expect(readEvent(JSON.stringify(event), new Date(0)).userId).toBe('u-2');
});

test.for([0, -1])('a userId that is the number %d counts as absent', (number) => {
  expect(resolveIdentity(member(number), rules({ projectType: 'USER_ID' }))).toMatchObject({
    reason: 'MISSING_USER_ID',
  });
});

test.for(NAMES)('a userId of %j is somebody', (name) => {
  expect(resolveIdentity(member(name), rules({}))).toMatchObject({ kind: 'subscriber', userId: name });
  const event = { eventName: 'emailSend', userId: name };
  expect(readEvent(JSON.stringify(event), new Date(0)).userId).toBe(name);
});

test('people whose userId is a placeholder are on a HYBRID list by their e-mails, each of them', async () => {
  await using app = await startTestApp({ iterable: { type: 'HYBRID' } });
  await app.connect({ idMerge: 'ORIGINAL', userIdFallback: 'NONE' });
  const cohort = await app.addCohort('Words', {
    count: PLACEHOLDERS.length,
    member: (index) => ({
      distinctId: `d-${index}`,
      properties: { $email: `p${index}@example.com`, $iterable_user_id: PLACEHOLDERS[index] },
    }),
  });
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { added: PLACEHOLDERS.length, rejected: 0 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual(
    PLACEHOLDERS.map((_, index) => `p${index}@example.com`).sort(),
  );
});

test('an event of a placeholder goes by its e-mail; one that has none is refused and imported for nobody', async () => {
  await using app = await startTestApp({ now: '2030-11-20T12:00:00.000Z' });
  await app.connect({ idMerge: 'SIMPLIFIED', userIdFallback: 'NONE' });
  const { send } = await createEventSender(app);
  const dataFields = { createdAt: '2030-11-19 10:00:00 +00:00' };
  const named = { eventName: 'emailSend', userId: 'undefined', email: 'ann@example.com', dataFields };
  expect((await send(named)).status).toBe(200);
  expect((await send({ eventName: 'emailSend', userId: '(null)', dataFields })).status).toBe(200);
  const usage = await untilCarried(app, '2030-11');
  expect(usage).toMatchObject({ eventsReceived: 2, eventsImported: 1, eventsRejected: 1 });
  expect(app.mixpanel.imported.all.map(({ distinctId }) => distinctId)).toEqual(['ann@example.com']);
});
