import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { createRandom } from '../sandbox/random.ts';
import { applyPushes, expirePushes } from '../src/sync/sources/pushed/apply-pushes.ts';
import { startAnother } from './support/another-app.ts';
import {
  createPusher,
  type PushOptions,
  pushed,
  pushedCohort,
  pushedMembers,
} from './support/mixpanel-push.ts';
import { SOON } from './support/mixpanel-waits.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Nothing is applied unless a test does so. */
const GATEWAY = { ROLES: 'gateway' };

/** A session whose pages have one person each, named after the page. */
const makePages = (session: string, pages: number, options: Partial<PushOptions> = {}): PushOptions[] =>
  Array.from({ length: pages }, (_, index) => ({
    session,
    page: index + 1,
    pages,
    members: [pushed(nameOf(session, index + 1))],
    ...options,
  }));

const nameOf = (session: string, page: number) => `${session}-${String(page).padStart(3, '0')}`;
const namesOf = (session: string, pages: number) =>
  makePages(session, pages).map(({ page }) => nameOf(session, page!));

async function readSessions(app: TestApp) {
  const { db } = app.app.sync;
  const sessions = await db
    .selectFrom('pushed_sessions')
    .select(['session_id', 'state'])
    .orderBy('id')
    .execute();
  const pages = await db.selectFrom('pushed_pages').select('number').orderBy('number').execute();
  return {
    states: sessions.map(({ session_id, state }) => `${session_id} ${state}`),
    pages: pages.map(({ number }) => number),
  };
}

/** Resolves when somebody waits for a lock that somebody else of this database has. */
async function untilSomebodyWaits(app: TestApp): Promise<void> {
  const countWaiting = async () => {
    const { rows } = await sql`
      select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
    `.execute(app.app.sync.db);
    return rows.length;
  };
  await expect.poll(countWaiting, SOON).toBeGreaterThan(0);
}

test('pages of one session that come at the same time, each twice, make one cohort and one session, and none is lost', async () => {
  await using app = await startTestApp({ env: GATEWAY });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const pages = makePages('s', 60);
  const random = createRandom(1);
  const calls = [...pages, ...pages].toSorted(() => random() - 0.5);
  const answers = await Promise.all(calls.map((page) => push(page)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect((await readSessions(app)).states).toEqual(['s OPEN']);
  await applyPushes(app.app.sync);
  expect(await pushedMembers(app)).toEqual(namesOf('s', 60));
  expect(await readSessions(app)).toEqual({ states: ['s APPLIED'], pages: [] });
});

test('a session is whole with its last page, whatever was missing when it was looked at before', async () => {
  await using app = await startTestApp({ env: GATEWAY });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const random = createRandom(2);
  const pages = makePages('s', 20).toSorted(() => random() - 0.5);
  for (const page of pages) {
    expect(await pushedMembers(app)).toEqual([]);
    await push(page);
    await applyPushes(app.app.sync);
  }
  expect(await pushedMembers(app)).toEqual(namesOf('s', 20));
});

test('the number of pages that was told last counts', async () => {
  await using app = await startTestApp({ env: GATEWAY });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const pushAndApply = async (session: string, page: number, pages: number) => {
    expect((await push({ session, page, pages, members: [pushed(nameOf(session, page))] })).status).toBe(200);
    await applyPushes(app.app.sync);
  };
  // Fewer: what has been counted is enough.
  await pushAndApply('s', 1, 4);
  await pushAndApply('s', 2, 4);
  await pushAndApply('s', 3, 4);
  expect(await pushedMembers(app)).toEqual([]);
  await pushAndApply('s', 1, 2);
  expect(await pushedMembers(app)).toEqual(namesOf('s', 3));
  // More: what was nearly whole is not.
  await pushAndApply('t', 1, 2);
  await pushAndApply('t', 3, 3);
  expect(await pushedMembers(app)).toEqual(namesOf('s', 3));
  await pushAndApply('t', 2, 3);
  expect(await pushedMembers(app)).toEqual(namesOf('t', 3));
});

test('a page that is repeated while its session is being applied is answered at once and changes nothing, nor later', async () => {
  await using app = await startTestApp({ env: GATEWAY });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const { db } = app.app.sync;
  const [first, second] = makePages('s', 2);
  await push(first!);
  await push(second!);
  const other = { ...first!, members: [pushed('other')], name: 'Renamed' };
  // Who applies it stops in the middle.
  const applied = await db.transaction().execute(async (trx) => {
    await sql`lock table pushed_members in exclusive mode`.execute(trx);
    const applying = applyPushes(app.app.sync);
    await untilSomebodyWaits(app);
    expect(await push(other)).toMatchObject({ status: 200 });
    expect(await push({ ...other, pages: 3 })).toMatchObject({ status: 200 });
    return { applying };
  });
  await applied.applying;
  expect(await pushedMembers(app)).toEqual(namesOf('s', 2));
  expect(await push(other)).toMatchObject({ status: 200 });
  expect(await push({ ...other, page: 3, pages: 3 })).toMatchObject({ status: 200 });
  await applyPushes(app.app.sync);
  expect(await pushedMembers(app)).toEqual(namesOf('s', 2));
  expect(await readSessions(app)).toEqual({ states: ['s APPLIED'], pages: [] });
  expect((await pushedCohort(app)).name).toBe('Power users');
});

test.each(['WHOLE', 'APPLIED', 'EXPIRED'] as const)(
  'a page that meets the moment in which its session becomes %s is not stored',
  async (state) => {
    await using app = await startTestApp({ env: GATEWAY });
    await app.connectMixpanel();
    const { push } = await createPusher(app);
    const [page] = makePages('s', 1);
    await push(page!);
    const late = await app.app.sync.db.transaction().execute(async (trx) => {
      await trx.updateTable('pushed_sessions').set({ state }).execute();
      await trx.deleteFrom('pushed_pages').execute();
      const answer = push(page!);
      await untilSomebodyWaits(app);
      return { answer };
    });
    expect(await late.answer).toMatchObject({ status: 200 });
    expect(await readSessions(app)).toEqual({ states: [`s ${state}`], pages: [] });
  },
);

test('two processes that apply while pages come leave nothing out and nothing behind', async () => {
  await using app = await startTestApp({ env: GATEWAY });
  await using other = await startAnother(app, { env: { ROLES: 'worker' } });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const random = createRandom(3);
  const sessions = Array.from({ length: 12 }, (_, number) => ({
    name: `s${number}`,
    cohortId: String(number % 3),
  }));
  const pages = sessions.flatMap(({ name, cohortId }) =>
    makePages(name, 5, { action: 'add_members', cohortId }),
  );
  let isOver = false;
  const applyMeanwhile = async (deps: TestApp['app']['sync']) => {
    while (!isOver) await applyPushes(deps);
  };
  const applying = [applyMeanwhile(app.app.sync), applyMeanwhile(other.app.sync)];
  const waiting = [...pages, ...pages].toSorted(() => random() - 0.5);
  const pushInTurn = async () => {
    for (let page = waiting.pop(); page; page = waiting.pop()) expect((await push(page)).status).toBe(200);
  };
  await Promise.all(Array.from({ length: 8 }, pushInTurn));
  isOver = true;
  await Promise.all(applying);
  // Of the two one is refused what the other is at; together they leave nothing.
  await Promise.all([applyPushes(app.app.sync), applyPushes(other.app.sync)]);
  expect(await pushedMembers(app)).toEqual(sessions.flatMap(({ name }) => namesOf(name, 5)).sort());
  const { states, pages: left } = await readSessions(app);
  expect(states.toSorted()).toEqual(sessions.map(({ name }) => `${name} APPLIED`).sort());
  expect(left).toEqual([]);
  expect([...app.logs].filter(({ level }) => Number(level) >= 40)).toEqual([]);
});

test('a session whose pages all came before nobody applied anything for days is applied, not left out', async () => {
  await using app = await startTestApp({ now: '2026-06-01T00:00:00Z', env: GATEWAY });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  for (const page of [...makePages('s', 3), ...makePages('t', 3).slice(1)]) await push(page);
  app.clock.advance({ hours: 73 });
  await expirePushes(app.app.sync);
  await applyPushes(app.app.sync);
  expect(await pushedMembers(app)).toEqual(namesOf('s', 3));
  expect(await readSessions(app)).toEqual({ states: ['s APPLIED', 't EXPIRED'], pages: [] });
});

test('a page of a session that was begun takes two statements', async () => {
  const statements: string[] = [];
  await using app = await startTestApp({ env: GATEWAY, onStatement: (text) => statements.push(text) });
  await app.connectMixpanel();
  const { push } = await createPusher(app);
  const [first, ...others] = makePages('s', 10);
  await push(first!);
  statements.length = 0;
  for (const page of others) await push(page);
  expect(statements).toHaveLength(2 * others.length);
});
