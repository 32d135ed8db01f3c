import { expect, test } from 'vitest';
import { NOBODY_LISTED } from '../src/sync/listed-people.ts';
import { readMembers } from '../src/sync/read-members.ts';
import { createFileSource } from '../src/sync/sources/file/member-source.ts';
import type { MemberSource } from '../src/sync/sources/source.ts';
import { importFile } from './support/import-file.ts';
import { startTestApp } from './support/test-app.ts';

const emails = (prefix: string, count: number) =>
  `email\n${Array.from({ length: count }, (_, index) => `${prefix}-${index}@example.com`).join('\n')}\n`;

test('the same name again replaces the members and runs the dynamic export at once', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const cohort = await importFile(app.api, 'Trial', 'email\na@example.com\nb@example.com\n');
  const { exportId } = await app.syncToEnd(cohort.id, 'DYNAMIC');
  const again = await importFile(app.api, 'Trial', 'email\nb@example.com\nc@example.com\n');
  expect(again).toMatchObject({ id: cohort.id, externalId: cohort.externalId, memberCount: 2 });
  const pushed = await app.untilRuns(exportId, 2);
  expect(pushed).toMatchObject({ trigger: 'PUSH', status: 'SUCCEEDED' });
  expect(pushed.counts).toMatchObject({ added: 1, unchanged: 1, removed: 1 });
  expect(app.iterable.membersOf(`mixpanel_Trial_${cohort.externalId}`)).toEqual([
    'b@example.com',
    'c@example.com',
  ]);
});

test('importing again starts no run of a one-time export', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const cohort = await importFile(app.api, 'Trial', 'email\na@example.com\n');
  await app.syncToEnd(cohort.id, 'ONE_TIME');
  await importFile(app.api, 'Trial', 'email\nb@example.com\n');
  expect((await app.api.query('{ syncRuns { totalCount } }')).syncRuns.totalCount).toBe(1);
  expect(app.iterable.membersOf(`mixpanel_Trial_${cohort.externalId}`)).toEqual(['a@example.com']);
});

test('a dynamic export of a file has no next run of its own', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await app.connectIterable();
  const cohort = await importFile(app.api, 'Trial', 'email\na@example.com\n');
  const { exportId } = await app.startSync(cohort.id, 'DYNAMIC');
  const { export: exported } = await app.api.query(
    'query ($id: ID!) { export(id: $id) { status syncType nextRunAt delay { reason } } }',
    { id: exportId },
  );
  expect(exported).toEqual({ status: 'ACTIVE', syncType: 'DYNAMIC', nextRunAt: null, delay: null });
});

test('the rows of a file that was replaced are not kept', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  await importFile(app.api, 'Trial', emails('old', 7_000));
  await importFile(app.api, 'Trial', emails('new', 3));
  const rows = await app.app.sync.db.selectFrom('cohort_file_members').select('email').execute();
  expect(rows.map((row) => row.email)).toEqual([
    'new-0@example.com',
    'new-1@example.com',
    'new-2@example.com',
  ]);
});

test('a file that is replaced while a run reads it is read again, and the new one is got whole', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { db } = app.app.sync;
  const cohort = await importFile(app.api, 'Trial', emails('old', 7_000));
  const { id: cohortId } = await db.selectFrom('cohorts').select('id').executeTakeFirstOrThrow();
  const source = createFileSource({ db, cohortId });
  let reads = 0;
  /** The new file comes when the first page of the old one has been read. */
  const disturbed: MemberSource = {
    read: (onPage, signal) => {
      reads++;
      return source.read(async (page) => {
        await onPage(page);
        if (reads === 1 && page.number === 0) await importFile(app.api, 'Trial', emails('new', 6_000));
      }, signal);
    },
  };
  const { members } = await readMembers({
    source: disturbed,
    rules: { projectType: 'EMAIL', idMerge: 'ORIGINAL', userIdFallback: 'NONE' },
    loadListed: async () => ({ listed: NOBODY_LISTED, readDistinctIds: async () => new Map() }),
    expectedPeople: cohort.memberCount,
    signal: new AbortController().signal,
    beforeRead: async () => undefined,
    onProgress: () => undefined,
  });
  expect([reads, members.unique, members.withIdentity]).toEqual([2, 6_000, 6_000]);
  const texts: string[] = [];
  for (let range = 0; range < members.partitions; range++) {
    texts.push((await members.read(range)).buffer.toString('latin1'));
  }
  await members.close();
  expect(texts.join('')).toContain('new-5999@example.com');
  expect(texts.join('')).not.toContain('old-');
});
