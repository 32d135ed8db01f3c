import { describe, expect, test } from 'vitest';
import type { Member } from '../sandbox/mixpanel/project.ts';
import { person } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Somebody of every kind: with both identifiers, with one, with none; known, and anonymous. */
const everyKind: Member[] = [
  { distinctId: 'both', properties: { $email: 'Both@Example.com', $iterable_user_id: 'it-both' } },
  { distinctId: 'mail', properties: { $email: ' mail@example.com ' } },
  { distinctId: 'user', properties: { $iterable_user_id: ' it-user ' } },
  { distinctId: 'neither', properties: {} },
  { distinctId: '$device:mail', properties: { $email: 'device@example.com' } },
  { distinctId: '$device:none' },
];

function sent(app: TestApp, operation = 'iterable.subscribe'): { email?: string; userId?: string }[] {
  const all = app.sandbox.calls.of(operation).flatMap((call) => call.subscribers ?? []);
  return all.sort((left, right) => (JSON.stringify(left) < JSON.stringify(right) ? -1 : 1));
}

async function reasons(app: TestApp, runId: string): Promise<Record<string, string | null>> {
  const ledger = await app.readLedger(runId, { outcome: 'REJECTED' });
  return Object.fromEntries(ledger.map((member) => [member.distinctId, member.reason]));
}

const both = { email: 'both@example.com' };
const mail = { email: 'mail@example.com' };
const device = { email: 'device@example.com' };

describe.each([
  {
    type: 'EMAIL',
    idMerge: 'ORIGINAL',
    userIdFallback: 'NONE',
    subscribers: [{ ...both, userId: 'it-both' }, device, mail],
    rejected: { user: 'MISSING_EMAIL', neither: 'MISSING_EMAIL', '$device:none': 'MISSING_EMAIL' },
  },
  {
    type: 'EMAIL',
    idMerge: 'ORIGINAL',
    userIdFallback: 'DISTINCT_ID',
    subscribers: [{ ...both, userId: 'it-both' }, device, { ...mail, userId: 'mail' }],
    rejected: { user: 'MISSING_EMAIL', neither: 'MISSING_EMAIL', '$device:none': 'MISSING_EMAIL' },
  },
  {
    type: 'EMAIL',
    idMerge: 'SIMPLIFIED',
    userIdFallback: 'NONE',
    subscribers: [{ ...both, userId: 'both' }, device, { ...mail, userId: 'mail' }],
    rejected: { user: 'MISSING_EMAIL', neither: 'MISSING_EMAIL', '$device:none': 'MISSING_EMAIL' },
  },
  {
    type: 'USER_ID',
    idMerge: 'ORIGINAL',
    userIdFallback: 'NONE',
    subscribers: [{ userId: 'it-both' }, { userId: 'it-user' }],
    rejected: {
      mail: 'MISSING_USER_ID',
      neither: 'MISSING_USER_ID',
      '$device:mail': 'MISSING_USER_ID',
      '$device:none': 'MISSING_USER_ID',
    },
  },
  {
    type: 'USER_ID',
    idMerge: 'ORIGINAL',
    userIdFallback: 'DISTINCT_ID',
    subscribers: [{ userId: 'it-both' }, { userId: 'it-user' }, { userId: 'mail' }, { userId: 'neither' }],
    rejected: { '$device:mail': 'MISSING_USER_ID', '$device:none': 'MISSING_USER_ID' },
  },
  {
    type: 'USER_ID',
    idMerge: 'SIMPLIFIED',
    userIdFallback: 'NONE',
    subscribers: [{ userId: 'both' }, { userId: 'mail' }, { userId: 'neither' }, { userId: 'user' }],
    rejected: { '$device:mail': 'MISSING_USER_ID', '$device:none': 'MISSING_USER_ID' },
  },
  {
    type: 'HYBRID',
    idMerge: 'ORIGINAL',
    userIdFallback: 'NONE',
    subscribers: [device, mail, { userId: 'it-both' }, { userId: 'it-user' }],
    rejected: { neither: 'MISSING_EMAIL', '$device:none': 'MISSING_EMAIL' },
  },
  {
    type: 'HYBRID',
    idMerge: 'ORIGINAL',
    userIdFallback: 'DISTINCT_ID',
    subscribers: [
      device,
      { userId: 'it-both' },
      { userId: 'it-user' },
      { userId: 'mail' },
      { userId: 'neither' },
    ],
    rejected: { '$device:none': 'MISSING_EMAIL' },
  },
  {
    type: 'HYBRID',
    idMerge: 'SIMPLIFIED',
    userIdFallback: 'NONE',
    subscribers: [device, { userId: 'both' }, { userId: 'mail' }, { userId: 'neither' }, { userId: 'user' }],
    rejected: { '$device:none': 'MISSING_EMAIL' },
  },
] as const)('$type project, $idMerge ID merge, fallback $userIdFallback', (setting) => {
  test('everybody is sent, or rejected, as the identity tables say', async () => {
    await using app = await startTestApp({ iterable: { type: setting.type } });
    await app.connect(setting);
    const cohort = await app.addCohort('Everybody', everyKind);
    const run = await app.syncToEnd(cohort.id);
    expect(sent(app)).toEqual(setting.subscribers);
    expect(await reasons(app, run.id)).toEqual(setting.rejected);
    expect(run.counts).toMatchObject({
      members: everyKind.length,
      added: setting.subscribers.length,
      rejected: Object.keys(setting.rejected).length,
      notProcessed: 0,
    });
    expect(app.sandbox.calls.complaints).toEqual([]);
  });
});

test('of a Mixpanel profile only $email is an address: a property that somebody called "email" is neither read nor sent', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Both', [
    { distinctId: 'a', properties: { email: 'other@example.com', $email: 'a@example.com' } },
    { distinctId: 'b', properties: { email: 'b@example.com' } },
  ]);
  const run = await app.syncToEnd(cohort.id);
  expect(sent(app)).toEqual([{ email: 'a@example.com' }]);
  expect(await reasons(app, run.id)).toEqual({ b: 'MISSING_EMAIL' });
});

test('malformed values are rejected by reason and shown in the ledger', async () => {
  await using app = await startTestApp({ iterable: { type: 'HYBRID' } });
  await app.connect();
  const cohort = await app.addCohort('Odd', [
    { distinctId: 'nul', properties: { $email: 'nul\0@example.com' } },
    { distinctId: 'nul-id', properties: { $iterable_user_id: 'a\0b' } },
    { distinctId: 'half', properties: { $email: '\ud800' } },
    { distinctId: 'object', properties: { $email: { a: 1 } } },
    { distinctId: 'number', properties: { $iterable_user_id: 77 } },
  ]);
  const run = await app.syncToEnd(cohort.id);
  expect(run.status).toBe('PARTIALLY_SUCCEEDED');
  expect(sent(app)).toEqual([{ userId: '77' }]);
  const rejected = await app.readLedger(run.id, { outcome: 'REJECTED' });
  expect(
    Object.fromEntries(rejected.map((one) => [one.distinctId, [one.reason, one.email, one.userId]])),
  ).toEqual({
    nul: ['INVALID_EMAIL', 'nul\ufffd@example.com', null],
    'nul-id': ['INVALID_USER_ID', null, 'a\ufffdb'],
    half: ['INVALID_EMAIL', '\ufffd', null],
    object: ['INVALID_EMAIL', null, null],
  });
});

test('distinct_ids of any spelling are told as they are, and find their people again', async () => {
  await using app = await startTestApp();
  await app.connect();
  const spellings = [
    'say "hi"',
    'back\\slash',
    'two\nlines',
    '\u007f',
    'zürich',
    '\u{1f600}',
    '\ufeffmarked',
  ];
  const members = spellings.map((distinctId, index) => ({
    distinctId,
    properties: { $email: `p${index}@example.com` },
  }));
  const cohort = await app.addCohort('Spelt', members);
  const first = await app.syncToEnd(cohort.id);
  const added = await app.readLedger(first.id, { outcome: 'ADDED' });
  expect(added.map((one) => one.distinctId).sort()).toEqual([...spellings].sort());
  const again = await app.runToEnd(first.exportId);
  expect(again.counts).toMatchObject({ unchanged: spellings.length, added: 0, removed: 0, requestsSent: 0 });
  app.mixpanel.setMembers(cohort.externalId, members.slice(0, 1));
  const last = await app.runToEnd(first.exportId);
  const removed = await app.readLedger(last.id, { outcome: 'REMOVED' });
  expect(removed.map((one) => one.distinctId).sort()).toEqual(spellings.slice(1).sort());
});

test('of two members with one identity the first by code point of the distinct_id counts', async () => {
  await using app = await startTestApp();
  await app.connect();
  // By UTF-16 unit U+1F600 (d83d de00) would come before U+FF5E; by code point it comes after.
  const later = '\u{1f600}';
  const earlier = '\uff5e';
  const shared = { $email: 'Shared@example.com' };
  const cohort = await app.addCohort('Twins', [
    { distinctId: later, properties: { ...shared, $iterable_user_id: 'of-later' } },
    { distinctId: earlier, properties: { ...shared, $iterable_user_id: 'of-earlier' } },
    person('other'),
  ]);
  const run = await app.syncToEnd(cohort.id);
  expect(sent(app)).toEqual([
    { email: 'other@example.com' },
    { email: 'shared@example.com', userId: 'of-earlier' },
  ]);
  expect(await reasons(app, run.id)).toEqual({ [later]: 'DUPLICATE_IDENTITY' });
});

test('when the first of two leaves, the second takes the place and nothing is sent', async () => {
  await using app = await startTestApp();
  await app.connect();
  const twin = (id: string) => ({ distinctId: id, properties: { $email: 'shared@example.com' } });
  const cohort = await app.addCohort('Twins', [twin('a'), twin('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(await reasons(app, first.id)).toEqual({ b: 'DUPLICATE_IDENTITY' });
  app.mixpanel.setMembers(cohort.externalId, [twin('b')]);
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 1, unchanged: 1, rejected: 0, removed: 0, requestsSent: 0 },
  });
});

test('in an e-mail project another userId is written to the profile, and the person counts as unchanged', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Renamed', [person('a', { $iterable_user_id: 'old' }), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [person('a', { $iterable_user_id: 'new' }), person('b')]);
  app.sandbox.calls.clear();
  const second = await app.runToEnd(first.exportId);
  expect(sent(app)).toEqual([{ email: 'a@example.com', userId: 'new' }]);
  expect(second.counts).toMatchObject({ members: 2, added: 0, unchanged: 2, removed: 0 });
  expect(app.iterable.users.find('a@example.com')?.userId).toBe('new');
  const third = await app.runToEnd(first.exportId);
  expect(third.counts).toMatchObject({ unchanged: 2, requestsSent: 0 });
});

test('an e-mail project is told only the e-mail of those who leave', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Leaving', [person('a', { $iterable_user_id: 'u-a' }), person('b')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, [person('b')]);
  await app.runToEnd(first.exportId);
  expect(sent(app, 'iterable.unsubscribe').filter((one) => one.userId !== undefined)).toEqual([]);
  expect(app.iterable.membersOf(cohort.listName)).toEqual(['b@example.com']);
});

test.each([
  { type: 'EMAIL', property: /\$email.*classified/ },
  { type: 'USER_ID', property: /\$iterable_user_id/ },
  { type: 'HYBRID', property: /\$iterable_user_id.*\$email.*classified/ },
] as const)(
  'in a project of type $type a cohort in which nobody has an identity fails the run and changes nothing',
  async ({ type, property }) => {
    await using app = await startTestApp({ iterable: { type } });
    await app.connect();
    const cohort = await app.addCohort('Hidden', [{ distinctId: 'a' }, { distinctId: 'b', properties: {} }]);
    app.sandbox.calls.clear();
    const run = await app.syncToEnd(cohort.id);
    expect(run).toMatchObject({ status: 'FAILED', error: { code: 'NO_MEMBER_HAS_IDENTITY' } });
    expect(run.error?.message).toMatch(property);
    expect(app.sandbox.calls.all.filter((call) => call.operation.startsWith('iterable'))).toEqual([]);
  },
);

test('an empty cohort is no cohort without identities: everybody leaves the list', async () => {
  await using app = await startTestApp();
  await app.connect();
  const cohort = await app.addCohort('Emptied', [person('a')]);
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  app.mixpanel.setMembers(cohort.externalId, []);
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({ status: 'SUCCEEDED', counts: { members: 0, removed: 1 } });
  expect(app.iterable.membersOf(cohort.listName)).toEqual([]);
});
