import { expect, test } from 'vitest';
import { expirePushes } from '../src/sync/sources/pushed/apply-pushes.ts';
import {
  createPusher,
  type PushedMember,
  pushed,
  pushedCohort,
  pushedMembers,
  untilApplied,
} from './support/mixpanel-push.ts';
import { startTestApp } from './support/test-app.ts';

async function startCohort(members: PushedMember[], idMerge: 'ORIGINAL' | 'SIMPLIFIED' = 'ORIGINAL') {
  const app = await startTestApp();
  await app.connect({ idMerge });
  const pusher = await createPusher(app);
  let session = 0;
  /** Gives who is in the cohort then. */
  async function push(action: string, ...members: PushedMember[]): Promise<string[]> {
    expect((await pusher.push({ action, session: `s${session++}`, members })).status).toBe(200);
    await untilApplied(app);
    return await pushedMembers(app);
  }
  await push('members', ...members);
  return {
    app,
    add: (...members: PushedMember[]) => push('add_members', ...members),
    remove: (...members: PushedMember[]) => push('remove_members', ...members),
    replace: (...members: PushedMember[]) => push('members', ...members),
    /** How many people the cohort says could not be found since all members were told. */
    unknown: async () =>
      Number(/pushed (\d+) \S+ to be removed/.exec((await pushedCohort(app)).warning ?? '')?.[1] ?? 0),
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  };
}

const family = (id: string, userId?: string, email = 'family@example.com') =>
  pushed(id, { email, $iterable_user_id: userId });

test('an e-mail that several people have removes none of them, with userIds or without', async () => {
  for (const members of [
    [family('a'), family('b')],
    [family('a', 'u-a'), family('b', undefined, 'Family@Example.com')],
    [family('a', 'u-a'), family('b', 'u-b')],
  ]) {
    await using cohort = await startCohort(members);
    expect(await cohort.remove(family('x'))).toEqual(['a', 'b']);
    expect(await cohort.unknown()).toBe(1);
  }
});

test('a userId names one person whatever the e-mail says, and a person with another userId is another person', async () => {
  await using cohort = await startCohort([
    pushed('a', { $iterable_user_id: 'u-a' }),
    pushed('b'),
    family('c', 'u-c'),
    family('d'),
    family('e', 'u-e'),
    pushed('same-1', { $iterable_user_id: 'u-same' }),
    pushed('same-2', { $iterable_user_id: 'u-same' }),
  ]);
  const rest = ['d', 'e', 'same-1', 'same-2'];
  expect(
    await cohort.remove(pushed('b', { mixpanel_distinct_id: 'x1', $iterable_user_id: ' u-a ' })),
  ).toEqual(['b', 'c', ...rest]);
  expect(await cohort.remove(pushed('x2', { email: 'b@example.com' }))).toEqual(['c', ...rest]);
  expect(await cohort.remove(family('x3', 'u-c'))).toEqual(rest);
  expect(await cohort.unknown()).toBe(0);
  expect(await cohort.remove(family('x4', 'u-e'), pushed('x5', { $iterable_user_id: 'u-same' }))).toEqual([
    'd',
    'same-1',
    'same-2',
  ]);
  expect(await cohort.unknown()).toBe(1);
});

test('a person is taken once: by their own distinct_id, or by one other', async () => {
  await using cohort = await startCohort([pushed('a'), pushed('b'), pushed('c')]);
  const alias = (id: string, of: string) => pushed(of, { mixpanel_distinct_id: id });
  expect(await cohort.remove(pushed('a'), alias('x', 'a'))).toEqual(['b', 'c']);
  expect(await cohort.unknown()).toBe(1);
  expect(await cohort.remove(alias('y', 'b'), alias('z', 'b'))).toEqual(['c']);
  expect(await cohort.unknown()).toBe(2);
});

test('a removal that is repeated takes nobody who shares the e-mail or the userId', async () => {
  const people = [family('a', 'u-1'), family('b'), pushed('c', { $iterable_user_id: 'u-1' })];
  await using cohort = await startCohort(people);
  expect(await cohort.remove({ mixpanel_distinct_id: 'a' })).toEqual(['b', 'c']);
  expect(await cohort.remove(family('a', 'u-1'))).toEqual(['b', 'c']);
  expect(await cohort.add(family('b'))).toEqual(['b', 'c']);
  expect(await cohort.remove(family('a'))).toEqual(['b', 'c']);
  // Whoever this is: it may be the one who left.
  expect(await cohort.remove(family('x'))).toEqual(['b', 'c']);
  expect(await cohort.unknown()).toBe(3);
  // From then on nobody else is known by that e-mail.
  expect(await cohort.replace(family('b'), pushed('c'))).toEqual(['b', 'c']);
  expect(await cohort.unknown()).toBe(0);
  expect(await cohort.remove(family('y'))).toEqual(['c']);
  expect(await cohort.unknown()).toBe(0);
});

test('a removal that is repeated within three days does not take who has joined with the same e-mail since', async () => {
  await using cohort = await startCohort([family('a'), { mixpanel_distinct_id: 'bare' }, pushed('c')]);
  expect(await cohort.remove({ mixpanel_distinct_id: 'a' }, family('bare'))).toEqual(['c']);
  cohort.app.clock.advance({ hours: 71 });
  await expirePushes(cohort.app.app.sync);
  expect(await cohort.add(family('b'))).toEqual(['b', 'c']);
  expect(await cohort.remove(family('a'), family('bare'))).toEqual(['b', 'c']);
  expect(await cohort.unknown()).toBe(2);
});

test('a removal that found nobody may find somebody later', async () => {
  await using cohort = await startCohort([pushed('a')]);
  expect(await cohort.remove(family('x'))).toEqual(['a']);
  expect(await cohort.add(family('b'))).toEqual(['a', 'b']);
  expect(await cohort.remove(family('x'))).toEqual(['a']);
});

test('who has left is forgotten after three days, or when all members are told anew', async () => {
  await using cohort = await startCohort([family('a'), family('b'), pushed('c')]);
  const readLeft = async () => {
    await expirePushes(cohort.app.app.sync);
    const { db } = cohort.app.app.sync;
    const left = db.selectFrom('pushed_members').select('distinct_id').where('is_member', '=', false);
    return (await left.orderBy('distinct_id').execute()).map((row) => row.distinct_id);
  };
  await cohort.remove(family('a'));
  cohort.app.clock.advance({ hours: 71 });
  await cohort.remove(family('b'));
  expect(await readLeft()).toEqual(['a', 'b']);
  cohort.app.clock.advance({ hours: 2 });
  expect(await readLeft()).toEqual(['b']);
  cohort.app.clock.advance({ hours: 71 });
  expect(await readLeft()).toEqual([]);
  await cohort.remove(pushed('c'));
  expect(await readLeft()).toEqual(['c']);
  await cohort.replace(pushed('d'));
  expect(await readLeft()).toEqual([]);
});

test('what is no e-mail and no userId finds nobody', async () => {
  const odd = [true, 7, 'null', ' ', '-', 'n/a', 'nobody', 'nul\0@example.com', {}];
  const emails = odd.map((email, index) => pushed(`e${index}`, { email }));
  const userIds = [{}, true, 'None', 'x'.repeat(53), 'ü'].map((userId, index) =>
    pushed(`u${index}`, { email: undefined, $iterable_user_id: userId }),
  );
  const members = [...emails, ...userIds];
  await using cohort = await startCohort(members);
  const ids = await pushedMembers(cohort.app);
  expect(ids).toHaveLength(members.length);
  const strangers = members.map((member, index) => ({ ...member, mixpanel_distinct_id: `z${index}` }));
  expect(await cohort.remove(...strangers)).toEqual(ids);
  expect(await cohort.unknown()).toBe(strangers.length);
});
