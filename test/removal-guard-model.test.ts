import { expect, test } from 'vitest';
import { createRandom } from '../sandbox/random.ts';
import { decide, expectLedger, readGuarded, untilHeld } from './support/held-run.ts';
import { person } from './support/people.ts';
import { type RunSnapshot, startTestApp } from './support/test-app.ts';

const POPULATION = 40;
const RUNS = 8;
const GUARD = { maxShare: 0.3, minRemovals: 4 };

/** distinct_id by address. */
type Members = Map<string, string>;

/** Who should be on the list: what a person would work out with pencil and paper from the rules. */
function createModel() {
  const list = new Map<string, { distinctId: string; isKept: boolean }>();
  let pending: string[] = [];

  /** Puts newcomers on the list and takes off old addresses of people who join under another. */
  function join(members: Members) {
    const joiners = [...members].filter(([email]) => !list.has(email));
    const joining = new Set(joiners.map(([, distinctId]) => distinctId));
    const isRenamed = ([email, { distinctId }]: [string, { distinctId: string }]) =>
      !members.has(email) && joining.has(distinctId);
    const renamed = [...list].filter(isRenamed).map(([email]) => email);
    for (const email of renamed) list.delete(email);
    for (const [email, distinctId] of joiners) list.set(email, { distinctId, isKept: false });
    for (const [email, stay] of list) if (members.has(email)) stay.isKept = false;
    return { added: joiners.length, renamed: renamed.length };
  }

  const remove = (emails: string[]) => {
    for (const email of emails) list.delete(email);
    return emails.length;
  };
  const leavers = (members: Members) => [...list.keys()].filter((email) => !members.has(email));

  return {
    emails: () => [...list.keys()].sort(),
    kept: () => [...list.values()].filter((stay) => stay.isKept).length,
    run(members: Members, includeKept: boolean) {
      if (includeKept) for (const stay of list.values()) stay.isKept = false;
      const size = list.size;
      const { added, renamed } = join(members);
      const leaving = leavers(members).filter((email) => !list.get(email)!.isKept);
      const isHeld = leaving.length >= GUARD.minRemovals && leaving.length > GUARD.maxShare * size;
      pending = isHeld ? leaving : [];
      const removed = renamed + (isHeld ? 0 : remove(leaving));
      return { isHeld, counts: { members: members.size, added, removed, pendingRemovals: pending.length } };
    },
    approve(members: Members) {
      const { added, renamed } = join(members);
      const approved = leavers(members).filter((email) => pending.includes(email));
      return { added, removed: renamed + remove(approved) };
    },
    discard() {
      for (const email of pending) list.get(email)!.isKept = true;
    },
  };
}

test.each([
  { seed: 11, inMemory: '1500000' },
  { seed: 12, inMemory: '1500000' },
  { seed: 13, inMemory: '10' },
])(
  'after every run and decision of a random history the list is who the rules say (seed $seed, $inMemory compared at a time)',
  { timeout: 120_000 },
  async ({ seed, inMemory }) => {
    const random = createRandom(seed);
    const chance = (share: number) => random() < share;
    await using app = await startTestApp({
      env: {
        ITERABLE_BATCH_SIZE: '7',
        COMPARISON_MEMORY_PEOPLE: inMemory,
        DRIFT_CHECK_INTERVAL: 'off',
      },
      mixpanel: { defaultPageSize: 9 },
    });
    await app.connectIterable({ removalGuard: GUARD });
    await app.connectMixpanel({ idMerge: 'ORIGINAL' });
    const cohort = await app.addCohort('Trial', []);
    const model = createModel();

    /** Of everybody there is some are in the cohort, and some of them under a second address. */
    const draw = (share: number): Members => {
      const members = new Map<string, string>();
      for (let index = 0; index < POPULATION; index++) {
        const name = chance(0.2) ? `other${index}` : `p${index}`;
        if (chance(share)) members.set(`${name}@example.com`, `p${index}`);
      }
      app.mixpanel.setMembers(
        cohort.externalId,
        [...members].map(([email, distinctId]) => person(distinctId, { $email: email })),
      );
      return members;
    };
    const expectState = async (run: RunSnapshot, exportId: string) => {
      expect(app.iterable.membersOf(cohort.listName).sort()).toEqual(model.emails());
      expect(await readGuarded(app, exportId)).toMatchObject({
        listSize: model.emails().length,
        keptCount: model.kept(),
      });
      if (run.counts.added > 0 || run.counts.removed > 0) await expectLedger(app, run);
    };

    let members = draw(0.6);
    model.run(members, false);
    const { exportId } = await app.syncToEnd(cohort.id);
    const seen = { held: 0, approve: 0, discard: 0, cancel: 0 };
    for (let round = 0; round < RUNS; round++) {
      members = draw(chance(0.5) ? 0.3 : 0.7);
      const includeKept = chance(0.25);
      const expected = model.run(members, includeKept);
      const { runExport } = await app.api.query(
        'mutation ($id: ID!, $includeKept: Boolean!) { runExport(exportId: $id, includeKept: $includeKept) { id } }',
        { id: exportId, includeKept },
      );
      if (!expected.isHeld) {
        const run = await app.untilOver(runExport.id);
        expect(run).toMatchObject({ status: 'SUCCEEDED', counts: expected.counts });
        await expectState(run, exportId);
        continue;
      }
      seen.held++;
      const held = await untilHeld(app, runExport.id);
      expect(held.counts).toMatchObject(expected.counts);
      await expectState(held, exportId);
      const decision = (['approve', 'discard', 'cancel'] as const)[Math.floor(random() * 3)]!;
      seen[decision]++;
      if (decision !== 'approve') {
        const run = await decide(app, held.id, decision);
        if (decision === 'discard') model.discard();
        expect(run).toMatchObject({
          status: decision === 'discard' ? 'PARTIALLY_SUCCEEDED' : 'CANCELLED',
          counts: {
            ...expected.counts,
            pendingRemovals: decision === 'discard' ? expected.counts.pendingRemovals : 0,
          },
        });
        await expectState(run, exportId);
        continue;
      }
      if (chance(0.5)) members = draw(0.5);
      const approved = model.approve(members);
      const run = await decide(app, held.id, 'approve');
      expect(run).toMatchObject({
        status: 'SUCCEEDED',
        counts: {
          members: members.size,
          removed: expected.counts.removed + approved.removed,
          pendingRemovals: 0,
          notProcessed: 0,
        },
      });
      expect(run.counts.added + run.counts.unchanged).toBe(members.size);
      expect(app.iterable.membersOf(cohort.listName).sort()).toEqual(model.emails());
    }
    expect(seen.held).toBeGreaterThan(1);
    expect(seen.approve + seen.discard).toBeGreaterThan(0);
  },
);
