import { expect } from 'vitest';
import type { RunSnapshot, TestApp } from './test-app.ts';

const SUCCESSES = ['SUCCEEDED', 'PARTIALLY_SUCCEEDED'];

/** What holds for every snapshot of a run that anybody is shown, and from one to the next. */
export function checkSnapshot(run: RunSnapshot, before: RunSnapshot | undefined): void {
  const { members, added, unchanged, removed, rejected, notProcessed } = run.counts;
  const told = JSON.stringify({ ...run, before });
  expect(Math.min(...Object.values(run.counts)), `no count is negative: ${told}`).toBeGreaterThanOrEqual(0);
  expect(added + unchanged + rejected + notProcessed, `everybody is counted once: ${told}`).toBe(members);
  const isSuccess = SUCCESSES.includes(run.status);
  expect(run.progress === 1, `progress is 1 at success only: ${told}`).toBe(isSuccess);
  if (isSuccess) expect(notProcessed, `a success has dealt with everybody: ${told}`).toBe(0);
  expect(run.phase === 'DONE', `DONE is the phase of a run that is over: ${told}`).toBe(
    run.finishedAt !== null,
  );
  expect(run.error !== null, `what failed says why: ${told}`).toBe(run.status === 'FAILED');
  if (!before) return;
  expect(run.revision, `every snapshot is newer: ${told}`).toBeGreaterThan(before.revision);
  expect(run.progress, `progress never falls: ${told}`).toBeGreaterThanOrEqual(before.progress);
  // A second reading, after an approval, counts the members anew.
  const isReadAgain = run.notices.some((notice) => notice.includes('was held'));
  if (!isReadAgain)
    expect(added, `what was done stays done: ${told}`).toBeGreaterThanOrEqual(before.counts.added);
  expect(removed, `what was done stays done: ${told}`).toBeGreaterThanOrEqual(before.counts.removed);
}

/**
 * What holds once a run of an e-mail project is over, however it ended: the ledger is what the counts say, whoever it
 * calls added is on the list, whoever it calls removed is not; after a success we know how long the list is.
 */
export async function checkOutcome(app: TestApp, run: RunSnapshot, listName: string): Promise<void> {
  const ledger = await app.readLedger(run.id);
  const emailsOf = (outcome: string) =>
    ledger.filter((member) => member.outcome === outcome).map((member) => member.email);
  expect({
    added: emailsOf('ADDED').length,
    removed: emailsOf('REMOVED').length,
    rejected: emailsOf('REJECTED').length,
  }).toEqual({ added: run.counts.added, removed: run.counts.removed, rejected: run.counts.rejected });
  if (!app.iterable.list(listName)) return;
  const onList = app.iterable.membersOf(listName);
  expect(onList).toEqual(expect.arrayContaining(emailsOf('ADDED')));
  expect(onList.filter((email) => emailsOf('REMOVED').includes(email))).toEqual([]);
  if (!SUCCESSES.includes(run.status)) return;
  const { syncRun } = await app.api.query('query ($id: ID!) { syncRun(id: $id) { export { listSize } } }', {
    id: run.id,
  });
  expect(onList).toHaveLength(syncRun.export.listSize);
  const refusedToLeave = run.notices.some((notice) => notice.includes('refused to remove'));
  if (!refusedToLeave) expect(onList).toHaveLength(run.counts.added + run.counts.unchanged);
}
