import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { decodeId } from '../src/schema/global-id.ts';
import { runSync } from '../src/sync/run-sync.ts';
import { people } from './support/people.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** The next request for a list update is held, once skip of them have passed. */
function holdUpdate(app: TestApp, skip: number) {
  const came = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const hold = () => {
    came.resolve();
    return answered.promise;
  };
  app.sandbox.faults.add({ operation: 'iterable.subscribe', skip, times: 1, hold });
  return { came: came.promise, answer: answered.resolve };
}

test('an answer that a worker given up for dead still writes down is in the counts of its successor', async () => {
  await using app = await startTestApp({ env: { ITERABLE_BATCH_SIZE: '2', ITERABLE_CONCURRENCY: '2' } });
  await app.connect();
  const cohort = await app.addCohort('Trial', people(4));
  const first = holdUpdate(app, 1);
  const { runId } = await app.startSync(cohort.id);
  const over = app.untilOver(runId);
  await first.came;
  const { db } = app.app.sync;
  const untilSettled = (count: number) =>
    expect
      .poll(() => db.selectFrom('sync_batches').select('id').where('state', '=', 'SETTLED').execute(), {
        timeout: 30_000,
      })
      .toHaveLength(count);
  await untilSettled(1);
  const second = holdUpdate(app, 0);
  const successor = runSync(
    app.app.sync,
    { runId: decodeId(runId).id, jobId: randomUUID() },
    new AbortController().signal,
  );
  await second.came;
  first.answer();
  await untilSettled(2);
  second.answer();
  await successor;

  expect(await over).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 4, added: 4, notProcessed: 0 },
  });
  expect(app.sandbox.calls.of('iterable.subscribe')).toHaveLength(3);
  expect(await app.readLedger(runId, { outcome: 'ADDED' })).toHaveLength(4);
  expect(app.iterable.membersOf(cohort.listName)).toHaveLength(4);
});
