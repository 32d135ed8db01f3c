import { expect, test } from 'vitest';
import {
  createPusher,
  type Pusher,
  pushed,
  pushedCohort,
  pushedMembers,
  toBody,
  untilApplied,
} from './support/mixpanel-push.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

async function startPushed(idMerge: 'ORIGINAL' | 'SIMPLIFIED' = 'ORIGINAL') {
  const app = await startTestApp();
  await app.connect({ idMerge });
  return { app, pusher: await createPusher(app) };
}

async function apply(app: TestApp, pusher: Pusher, options: Parameters<Pusher['push']>[0]) {
  expect((await pusher.push(options)).status).toBe(200);
  await untilApplied(app);
}

const NOBODY: [string, Record<string, unknown>][] = [
  ['members null, no pages', { members: null, page_info: { total_pages: 0, page_count: 0 } }],
  ['members absent, no pages', { members: undefined, page_info: { total_pages: 0, page_count: 0 } }],
  ['an empty list, no pages', { members: [], page_info: { total_pages: 0, page_count: 1 } }],
  ['an empty list, pages that are none', { members: [], page_info: 'none' }],
  ['members absent, nothing of pages', { members: undefined, page_info: undefined }],
  ['members null, a page', { members: null }],
  ['rows of nobody, no pages', { members: [{}, { email: '' }], page_info: { total_pages: 0 } }],
  ['an empty list, nothing of pages', { members: [], page_info: undefined }],
  ['an empty list, null of pages', { members: [], page_info: null }],
  ['an empty list, a page of true', { members: [], page_info: { total_pages: true, page_count: true } }],
  ['an empty object', { members: {} }],
  ['an empty text', { members: '' }],
  ['a blank text', { members: ' ' }],
  ['false', { members: false }],
  ['an empty object, nothing of pages', { members: {}, page_info: undefined }],
  ['no name', { members: [], mixpanel_cohort_name: '' }],
  ['a name of null', { members: null, mixpanel_cohort_name: null }],
  ['no session', { members: [], mixpanel_session_id: undefined }],
  ['a session of null', { members: null, mixpanel_session_id: null }],
  ['a cohort of null', { members: [], mixpanel_cohort_id: null }],
  ['no project', { members: [], mixpanel_project_id: undefined }],
  ['a session that lost digits', { members: [], mixpanel_session_id: 1.0154e27 }],
];

test('a call that names nobody is 200 whatever it says of pages, and changes nobody', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  await apply(app, pusher, { session: 's', members: [pushed('a'), pushed('b')] });
  for (const [what, parameters] of NOBODY) {
    for (const action of ['add_members', 'remove_members', 'members']) {
      const body = toBody(app, { action, session: `${what} ${action}`, members: [] });
      Object.assign(body.parameters, parameters);
      expect(await pusher.send(JSON.stringify(body)), `${what} ${action}`).toEqual({
        status: 200,
        body: { action, status: 'success' },
      });
    }
  }
  expect((await pusher.send('{"action":"members"}')).status).toBe(200);
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual(['a', 'b']);
  expect((await pushedCohort(app)).warning).toBeNull();
  // An empty page of several is one of them; a list that is whole and empty is empty.
  await pusher.push({ session: 'p', page: 1, pages: 2, members: [pushed('c')] });
  await pusher.push({ session: 'p', page: 2, pages: 2, members: [], parameters: { members: null } });
  await untilApplied(app);
  expect(await pushedMembers(app)).toEqual(['c']);
  await apply(app, pusher, { session: 'q', members: [] });
  expect(await pushedMembers(app)).toEqual([]);
});

test('rows that name nobody are left out and told of until all members come anew', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  const odd = [
    pushed('a'),
    {},
    { email: '' },
    null,
    'b',
    7,
    ['c'],
    { mixpanel_distinct_id: true },
  ] as never[];
  await apply(app, pusher, { session: 's1', members: odd });
  expect(await pushedMembers(app)).toEqual(['a']);
  expect((await pushedCohort(app)).warning).toBe(
    'Mixpanel pushed 7 people without a distinct_id and an e-mail that can be used; they were left out.',
  );
  await apply(app, pusher, { action: 'add_members', session: 's2', members: [pushed('b')] });
  expect((await pushedCohort(app)).warning).toContain('7 people');
  await apply(app, pusher, { session: 's3', members: [pushed('a')] });
  expect((await pushedCohort(app)).warning).toBeNull();
});

test('the numbers of a warning are of all sessions since all members were told last', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  const nobody = { email: '' };
  const warning = async () => (await pushedCohort(app)).warning;
  await apply(app, pusher, { session: 's0', page: 1, pages: 2, members: [pushed('late')] });
  await apply(app, pusher, { session: 's1', members: [pushed('a'), nobody, nobody, nobody] });
  await apply(app, pusher, { action: 'add_members', session: 's2', members: [nobody] });
  // All members as they were before says nothing any more.
  await apply(app, pusher, { session: 's0', page: 2, pages: 2, members: [nobody] });
  expect(await warning()).toMatch(/^Mixpanel pushed 4 people without [^;]+; they were left out\.$/);
  await apply(app, pusher, remove('s3', pushed('x'), nobody));
  await apply(app, pusher, remove('s4', pushed('x'), pushed('y')));
  expect(await warning()).toMatch(
    /^Mixpanel pushed 5 people without .+ Mixpanel pushed 3 people to be removed /,
  );
  await apply(app, pusher, { session: 's5', members: [pushed('a'), nobody] });
  expect(await warning()).toMatch(/^Mixpanel pushed 1 person without [^;]+; they were left out\.$/);
});

test('a whole push of rows that cannot be read empties no cohort, and is told of', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  await apply(app, pusher, { session: 's1', members: [pushed('a')] });
  await apply(app, pusher, { session: 's2', members: [{}, { email: '' }] });
  await apply(app, pusher, { session: 's3', members: [{}], parameters: { page_info: undefined } });
  await apply(app, pusher, { session: 's4', page: 1, pages: 2, members: [], parameters: { members: null } });
  await apply(app, pusher, { session: 's4', page: 2, pages: 2, members: [] });
  expect(await pushedMembers(app)).toEqual(['a']);
  expect((await pushedCohort(app)).warning).toMatch(/^Mixpanel pushed 3 people without/);
});

test('an id of a call that lost digits or characters is refused, for two of them would be one', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  for (const name of ['mixpanel_session_id', 'mixpanel_cohort_id', 'mixpanel_project_id']) {
    for (const id of ['1.0154e17', '1e300', '"nul\\u0000"', '"half\\ud800"']) {
      const body = toBody(app, { session: 's', members: [pushed('a')], parameters: { [name]: 'ID' } });
      const answer = await pusher.send(JSON.stringify(body).replace('"ID"', () => id));
      expect(answer, `${name} ${id}`).toMatchObject({
        status: 400,
        body: { error: { message: `parameters.${name}: an id with digits or characters that got lost.` } },
      });
    }
  }
  expect(await pushedCohort(app)).toBeUndefined();
  const parameters = { mixpanel_session_id: 17, mixpanel_cohort_description: { odd: true } };
  await apply(app, pusher, { session: 's', members: [pushed('a')], parameters });
  expect(await pushedMembers(app)).toEqual(['a']);
});

test('blanks and placeholders name nobody, and blanks around a userId or an e-mail are none of it', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  await apply(app, pusher, {
    session: 's1',
    members: [
      { mixpanel_distinct_id: ' ', email: ' ' },
      { email: '   ' },
      { mixpanel_distinct_id: '\t' },
      { mixpanel_distinct_id: 'null', email: 'n/a' },
      { email: ' ', $email: ' q@x.com ' },
      { mixpanel_distinct_id: ' ', $distinct_id: 'r' },
      { mixpanel_distinct_id: 'undefined', email: 's@x.com' },
      { mixpanel_distinct_id: 1.0154e27, email: 't@x.com' },
      pushed('b', { $iterable_user_id: ' u-b ' }),
      pushed('c', { $iterable_user_id: ' ', email: 'c@x.com' }),
    ],
  });
  expect(await pushedMembers(app)).toEqual(['b', 'c', 'q@x.com', 'r', 's@x.com']);
  expect((await pushedCohort(app)).warning).toMatch(/^Mixpanel pushed 5 people without/);
  await apply(
    app,
    pusher,
    remove(
      's2',
      { mixpanel_distinct_id: 'b-2', $iterable_user_id: 'u-b' },
      { mixpanel_distinct_id: 'c-2', email: 'C@x.com ', $iterable_user_id: 'u-c' },
    ),
  );
  expect(await pushedMembers(app)).toEqual(['q@x.com', 'r', 's@x.com']);
});

const remove = (session: string, ...members: Parameters<Pusher['push']>[0]['members']) => ({
  action: 'remove_members',
  session,
  members,
});

test('who is to be removed under another distinct_id is found by the e-mail or the userId, and leaves the list', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  const all = [
    pushed('a'),
    pushed('b', { $iterable_user_id: 'u-b' }),
    pushed('c', { email: undefined, $email: ' C@Example.com' }),
    pushed('d'),
    pushed('stays'),
  ];
  await apply(app, pusher, { session: 's1', members: all });
  const cohort = await pushedCohort(app);
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  await apply(
    app,
    pusher,
    remove(
      's2',
      { mixpanel_distinct_id: 'a-2', email: 'A@example.com' },
      { mixpanel_distinct_id: 'b-2', email: 'other@example.com', $iterable_user_id: 'u-b' },
      { mixpanel_distinct_id: 'c-2', email: 'c@example.com', $iterable_user_id: 'undefined' },
      { mixpanel_distinct_id: 'd' },
    ),
  );
  expect(await pushedMembers(app)).toEqual(['stays']);
  expect((await pushedCohort(app)).warning).toBeNull();
  expect(await app.untilRuns(exportId, 2)).toMatchObject({ counts: { removed: 4 } });
  expect(app.iterable.membersOf(`mixpanel_${cohort.name}_5000001`)).toEqual(['stays@example.com']);
});

test('whom a removal does not find is told of, and nobody leaves', async () => {
  const { app, pusher } = await startPushed();
  await using _ = app;
  await apply(app, pusher, { session: 's1', members: [pushed('a'), pushed('b')] });
  await apply(app, pusher, remove('s2', pushed('b')));
  expect((await pushedCohort(app)).warning).toBeNull();
  await apply(app, pusher, remove('s4', pushed('x'), { mixpanel_distinct_id: 'y' }));
  expect(await pushedMembers(app)).toEqual(['a']);
  expect((await pushedCohort(app)).warning).toMatch(
    /^Mixpanel pushed 2 people to be removed who could not be found/,
  );
});

test('one e-mail of several people removes none of them by it, and neither does anything on simplified ID merge', async () => {
  for (const idMerge of ['ORIGINAL', 'SIMPLIFIED'] as const) {
    const { app, pusher } = await startPushed(idMerge);
    await using _ = app;
    const family = (id: string) => pushed(id, { email: 'family@example.com', $iterable_user_id: `u-${id}` });
    await apply(app, pusher, { session: 's1', members: [family('a'), family('b'), pushed('c')] });
    await apply(app, pusher, remove('s2', { mixpanel_distinct_id: 'x', email: 'family@example.com' }));
    await apply(app, pusher, remove('s3', family('z')));
    expect(await pushedMembers(app), idMerge).toEqual(['a', 'b', 'c']);
    if (idMerge === 'ORIGINAL') continue;
    await apply(app, pusher, remove('s4', { mixpanel_distinct_id: 'c-2', email: 'c@example.com' }));
    expect(await pushedMembers(app)).toEqual(['a', 'b', 'c']);
  }
});
