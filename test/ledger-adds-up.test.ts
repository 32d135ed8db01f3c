import { expect, test } from 'vitest';
import type { Bucket } from '../sandbox/iterable/identity.ts';
import type { Member } from '../sandbox/mixpanel/project.ts';
import { createRandom } from '../sandbox/random.ts';
import { startTestApp } from './support/test-app.ts';

const POPULATION = 60;
const RUNS = 10;
const BUCKETS: Bucket[] = ['conflict', 'notFound', 'invalidData'];

test.each([
  { seed: 1, inMemory: '1500000' },
  { seed: 2, inMemory: '1500000' },
  { seed: 3, inMemory: '1500000' },
  { seed: 4, inMemory: '10' },
])(
  'after every run of a random history (seed $seed, $inMemory compared at a time) the list is the cohort and the ledger adds up',
  async ({ seed, inMemory }) => {
    const random = createRandom(seed);
    const chance = (share: number) => random() < share;
    await using app = await startTestApp({
      env: { ITERABLE_BATCH_SIZE: '7', REJECTED_RETRY_INTERVAL: '0s', COMPARISON_MEMORY_PEOPLE: inMemory },
      mixpanel: { defaultPageSize: 9 },
    });
    await app.connect();

    /** Of everybody there is, some are in the cohort; some share an address, some have a bad one or none. */
    const draw = (): Member[] =>
      Array.from({ length: POPULATION }, (_, index) => index)
        .filter(() => chance(0.6))
        .map((index) => {
          const distinctId = `d${String(index).padStart(2, '0')}`;
          if (index % 11 === 0) return { distinctId };
          if (index % 13 === 0) return { distinctId, properties: { $email: 'malformed' } };
          const address = index % 7 === 0 ? 'shared' : `p${index}`;
          const userId = chance(0.2) ? { $iterable_user_id: `u${index}-${chance(0.5)}` } : {};
          return { distinctId, properties: { $email: `${address}@example.com`, ...userId } };
        });

    const cohort = await app.addCohort('History', draw());
    let exportId: string | undefined;
    for (let number = 0; number < RUNS; number++) {
      const members = draw();
      app.mixpanel.setMembers(cohort.externalId, members);
      const before = exportId === undefined ? [] : app.iterable.membersOf(cohort.listName);
      // Whoever is on the list stays welcome: a refused change of a userId leaves them there.
      const refused = Array.from({ length: POPULATION }, (_, index) => `p${index}@example.com`).filter(
        (address) => !before.includes(address) && chance(0.1),
      );
      const isNamed = (_: string, index: number) => index % 4 !== 3;
      app.iterable.settings.refusals = refused.filter(isNamed).map((identifier, index) => ({
        identifier,
        bucket: BUCKETS[index % BUCKETS.length]!,
      }));
      app.iterable.settings.unnamedFailures = refused.filter((email, index) => !isNamed(email, index));

      const run =
        exportId === undefined ? await app.syncToEnd(cohort.id, 'DYNAMIC') : await app.runToEnd(exportId);
      if ('exportId' in run) exportId = run.exportId as string;

      const wanted = new Set(
        members
          .map((member) => member.properties?.$email)
          .filter((email): email is string => typeof email === 'string' && email.includes('@')),
      );
      const onList = app.iterable.membersOf(cohort.listName);
      expect(onList).toEqual([...wanted].filter((email) => !refused.includes(email)).sort());
      const { counts } = run;
      expect(counts.members).toBe(members.length);
      expect(counts.members).toBe(counts.added + counts.unchanged + counts.rejected);
      expect(counts.added).toBe(onList.filter((email) => !before.includes(email)).length);
      expect(counts.removed).toBe(before.filter((email) => !onList.includes(email)).length);
      expect(run.status).toBe(counts.rejected > 0 ? 'PARTIALLY_SUCCEEDED' : 'SUCCEEDED');
      const ledger = await app.readLedger(run.id);
      const count = (outcome: string) => ledger.filter((row) => row.outcome === outcome).length;
      expect({ added: count('ADDED'), removed: count('REMOVED'), rejected: count('REJECTED') }).toEqual({
        added: counts.added,
        removed: counts.removed,
        rejected: counts.rejected,
      });
      const { export: exported } = await app.api.query('query ($id: ID!) { export(id: $id) { listSize } }', {
        id: exportId,
      });
      expect(exported.listSize).toBe(onList.length);
      app.clock.advance({ minutes: 1 });
    }
    expect(app.sandbox.calls.complaints).toEqual([]);
  },
);
