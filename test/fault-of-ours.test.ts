import pg from 'pg';
import { expect, test } from 'vitest';
import { people } from './support/people.ts';
import { startTestApp } from './support/test-app.ts';

test('a run that cannot even be ended in good order fails, instead of being tried for ever', async () => {
  await using app = await startTestApp({ allowFaults: true });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(2));
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query('alter table sync_batches rename to sync_batches_gone');
  const first = await app.syncToEnd(cohort.id, 'DYNAMIC');
  expect(first).toMatchObject({ status: 'FAILED', error: { code: 'INTERNAL', retryable: true } });
  expect(app.logs.filter((line) => line.level === 50)).toMatchObject([{ runId: expect.any(String) }]);

  await client.query('alter table sync_batches_gone rename to sync_batches');
  await client.end();
  const second = await app.runToEnd(first.exportId);
  expect(second).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2 } });
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(2);
});
