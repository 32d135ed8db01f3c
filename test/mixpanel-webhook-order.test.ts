import { expect, test } from 'vitest';
import { createRandom } from '../sandbox/random.ts';
import { applyPushes } from '../src/sync/sources/pushed/apply-pushes.ts';
import { createPusher, type PushOptions, pushed, pushedMembers } from './support/mixpanel-push.ts';
import { startTestApp } from './support/test-app.ts';

const ACTIONS = ['members', 'add_members', 'remove_members'] as const;
const IDS = Array.from({ length: 12 }, (_, index) => `u${index}`);

interface Session {
  action: (typeof ACTIONS)[number];
  ids: string[];
  pages: PushOptions[];
}

/** A few sessions of some people each, in the order in which they are begun. */
function makeSessions(random: () => number): Session[] {
  return Array.from({ length: 6 }, (_, number) => {
    const action = ACTIONS[Math.floor(random() * ACTIONS.length)]!;
    const ids = IDS.filter(() => random() < 0.4);
    const pages = 1 + Math.floor(random() * 3);
    return {
      action,
      ids,
      pages: Array.from({ length: pages }, (_, page) => ({
        action,
        session: `s${number}`,
        page: page + 1,
        pages,
        members: ids.filter((_, index) => index % pages === page).map((id) => pushed(id)),
      })),
    };
  });
}

/** Who is in the cohort when these sessions are applied one after the other. */
function model(sessions: Session[]): string[] {
  let members = new Set<string>();
  for (const { action, ids } of sessions) {
    if (action === 'members') members = new Set(ids);
    for (const id of ids) {
      if (action === 'remove_members') members.delete(id);
      else members.add(id);
    }
  }
  return [...members].sort();
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  'whatever the order of pages, the cohort is what its whole sessions say in the order of their beginnings (seed %i)',
  async (seed) => {
    const random = createRandom(seed);
    await using app = await startTestApp({ env: { ROLES: 'gateway' } });
    await app.connectMixpanel();
    const { push } = await createPusher(app);
    const sessions = makeSessions(random);
    // Each begins with one of its pages; the others come when they like, some twice, and of one session never.
    const missing = Math.floor(random() * sessions.length);
    const begun: Session[] = [];
    const waiting: PushOptions[] = [];
    const came = new Map<Session, Set<number>>();
    const send = async (session: Session, page: PushOptions) => {
      expect((await push(page)).status).toBe(200);
      came.get(session)!.add(page.page!);
      if (random() < 0.3) await applyPushes(app.app.sync);
      if (random() < 0.2) expect((await push(page)).status).toBe(200);
    };
    const sessionOf = (page: PushOptions) => begun.find(({ pages }) => pages.includes(page))!;
    const sendOneOfWaiting = async () => {
      const [page] = waiting.splice(Math.floor(random() * waiting.length), 1);
      await send(sessionOf(page!), page!);
    };
    for (const [number, session] of sessions.entries()) {
      begun.push(session);
      came.set(session, new Set());
      const [first, ...others] = session.pages.toSorted(() => random() - 0.5);
      await send(session, first!);
      waiting.push(...(number === missing ? others.slice(1) : others));
      while (waiting.length > 0 && random() < 0.5) await sendOneOfWaiting();
    }
    while (waiting.length > 0) await sendOneOfWaiting();
    // In two processes at once.
    await Promise.all([applyPushes(app.app.sync), applyPushes(app.app.sync)]);
    const whole = sessions.filter((session) => came.get(session)!.size === session.pages.length);
    expect(await pushedMembers(app)).toEqual(model(whole));
    // Nobody is kept who has left, but for the sake of a session that is still open.
    const isOpen = whole.length < sessions.length;
    const left = await app.app.sync.db
      .selectFrom('pushed_members')
      .select('distinct_id')
      .where('is_member', '=', false)
      .execute();
    if (!isOpen) expect(left).toEqual([]);
  },
);
