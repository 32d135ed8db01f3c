import { Migrator } from 'kysely/migration';
import { expect, test } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { migrateToLatest } from '../db/migrate.ts';
import * as initial from '../db/migrations/0001-initial.ts';
import * as connections from '../db/migrations/0002-connections.ts';
import { countRunMembers, listRunMembers } from '../db/queries/run-member.ts';
import { loadListedPeople } from '../src/sync/listed-people.ts';
import { readPeople } from '../src/sync/read-people.ts';
import { createTestDatabase } from './support/database.ts';

test('lists and ledgers of the version before blocks are kept, and a run that was going plans anew', async () => {
  const database = await createTestDatabase({ template: false });
  const { db, pool, stop } = connectDatabase({ url: database.url });
  try {
    const before = { '0001-initial': initial, '0002-connections': connections };
    const { error } = await new Migrator({
      db,
      provider: { getMigrations: async () => before },
    }).migrateToLatest();
    expect(error).toBeUndefined();
    await pool.query(`
      insert into projects (name, created_at) values ('First', now());
      insert into integrations (project_id, provider) values (1, 'ITERABLE');
      insert into cohorts (project_id, source, external_id, name, refreshed_at)
        values (1, 'MIXPANEL', '42', 'Trial', now());
      insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, created_at, drift_checked_at)
        values (1, 1, 1, 'DYNAMIC', 'ACTIVE', 'mixpanel_Trial_42', now(), now());
      insert into sync_runs (project_id, export_id, trigger, queued_at, status, phase, finished_at, planned_at)
        values (1, 1, 'MANUAL', now(), 'SUCCEEDED', 'DONE', now(), now());
      insert into sync_runs (project_id, export_id, trigger, queued_at, status, members, added, planned_at)
        values (1, 1, 'MANUAL', now(), 'RUNNING', 3, 1, now());
      insert into sync_batches (run_id, number, kind, size, members, state) values (2, 0, 'ADD', 1, '[]', 'SENT');
      insert into list_members (added_run_id, added_at, export_id, hash, distinct_id, email)
        select 1, now(), 1, md5(n::text)::uuid, 'd' || n, 'p' || n || '@example.com' from generate_series(1, 2500) as n;
      update list_members set removed_run_id = 1, removed_at = now() where distinct_id = 'd7';
      update list_members set uncertain = true, added_run_id = 2 where distinct_id = 'd8';
    `);
    await migrateToLatest(db);

    const run = { id: '1', export_id: 1, planned_at: new Date(), ledger_deleted_at: null };
    const added = { sections: ['ADDED'], reason: undefined } as const;
    expect((await countRunMembers({ db, projectId: '1' }, [run], added)).get('1')).toBe(2_499);
    const removed = await listRunMembers(
      db,
      [run],
      { sections: ['REMOVED'], reason: undefined },
      { limit: 10, after: undefined },
    );
    expect(removed.get('1')).toMatchObject([{ distinct_id: 'd7', email: 'p7@example.com', user_id: null }]);
    const listed = await loadListedPeople(db, 1);
    expect(listed.count).toBe(2_499);
    const numbers = Array.from({ length: listed.count }, (_, number) => number);
    const known = await readPeople(db, listed, numbers);
    expect(new Set([...known.values()].map((person) => person.email)).size).toBe(2_499);
    const uncertain = numbers.filter((number) => listed.marksOf(number) === 1);
    expect(uncertain.map((number) => known.get(number)!.distinctId)).toEqual(['d8']);
    const { rows } = await pool.query(
      'select planned_at, added, members, (select drift_checked_at from exports) as compared from sync_runs where id = 2',
    );
    expect(rows).toEqual([{ planned_at: null, added: 0, members: 0, compared: null }]);
  } finally {
    await stop();
    await database.drop();
  }
});
