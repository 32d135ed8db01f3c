import { sql } from 'kysely';
import pg from 'pg';
import { expect, test, vi } from 'vitest';
import type { Call } from '../sandbox/calls.ts';
import type { Fault } from '../sandbox/faults.ts';
import { people } from './support/people.ts';
import { startService } from './support/service-process.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** It takes the queue some ten seconds to miss a worker; a busy machine must not fail the test. */
vi.setConfig({ testTimeout: 300_000 });

const TAKE_UP_MS = 30_000;
const BATCH_SIZE = 10;
const JOINERS = people(4 * BATCH_SIZE, 'join');
const LEAVERS = people(2 * BATCH_SIZE, 'leave');
/** So many that the removal guard has no objection. */
const STAYERS = people(20 * BATCH_SIZE, 'stay');

interface HeldRun {
  runId: string;
  listName: string;
  isRepeated: boolean;
}

/** Where a run stands when its worker is killed: at a request that is never answered. */
const STAGES: { name: string; fault: Fault; isSecondRun?: boolean; isRepeated?: boolean }[] = [
  { name: 'Read', fault: { operation: 'mixpanel.engage', page: 1, hang: true } },
  { name: 'List made', fault: { operation: 'iterable.createList', hangAfter: true } },
  {
    name: 'Addition lost',
    fault: { operation: 'iterable.subscribe', skip: 1, hang: true },
    isRepeated: true,
  },
  {
    name: 'Addition applied',
    fault: { operation: 'iterable.subscribe', skip: 1, hangAfter: true },
    isRepeated: true,
  },
  {
    name: 'Removal lost',
    fault: { operation: 'iterable.unsubscribe', hang: true },
    isSecondRun: true,
    isRepeated: true,
  },
  {
    name: 'Removal applied',
    fault: { operation: 'iterable.unsubscribe', skip: 1, hangAfter: true },
    isSecondRun: true,
    isRepeated: true,
  },
];

/** Starts a run and resolves when it stands where it is to be interrupted. */
async function holdRun(app: TestApp, stage: (typeof STAGES)[number]): Promise<HeldRun> {
  const members = [...STAYERS, ...(stage.isSecondRun ? LEAVERS : JOINERS)];
  const cohort = await app.addCohort(stage.name, members);
  const heldBefore = countUnanswered(app.sandbox.calls.all);
  let runId: string;
  if (stage.isSecondRun) {
    const { exportId } = await app.syncToEnd(cohort.id);
    app.mixpanel.setMembers(cohort.externalId, [...STAYERS, ...JOINERS]);
    app.sandbox.faults.add({ ...stage.fault, times: 1 });
    runId = await app.runExport(exportId);
  } else {
    app.sandbox.faults.add({ ...stage.fault, times: 1 });
    runId = (await app.startSync(cohort.id)).runId;
  }
  await app.sandbox.calls.until((calls) => countUnanswered(calls) > heldBefore);
  if (stage.isRepeated) await untilStill(app);
  return { runId, listName: cohort.listName, isRepeated: stage.isRepeated === true };
}

/** Resolves when each run has one batch on its way at most, the one that is never answered. */
async function untilStill(app: TestApp): Promise<void> {
  const { db } = app.app.sync;
  await vi.waitFor(async () => {
    const { rows } = await sql<{ isStill: boolean }>`
      select bool_and(sent <= 1 and (sent = 0 or waiting = 0)) as "isStill" from (
        select count(*) filter (where state = 'SENT') as sent, count(*) filter (where state = 'PLANNED') as waiting
        from sync_batches group by run_id, kind
      ) as journals`.execute(db);
    expect(rows[0]!.isStill).toBe(true);
  }, 60_000);
}

function countUnanswered(calls: readonly Call[]): number {
  return calls.filter((call) => call.status === 0).length;
}

/** Starts a run whose plan cannot be written; resolves when it waits. What is given lets it be written. */
async function holdPlan(app: TestApp): Promise<HeldRun & { release: () => Promise<void> }> {
  const cohort = await app.addCohort('Plan', [...STAYERS, ...JOINERS]);
  const client = new pg.Client({ connectionString: app.database.url });
  await client.connect();
  await client.query('begin; lock table sync_batches in share mode');
  const { runId } = await app.startSync(cohort.id);
  await vi.waitFor(async () => {
    const { rows } = await client.query(
      `select from pg_locks where not granted and relation = 'sync_batches'::regclass`,
    );
    expect(rows).toHaveLength(1);
  }, 60_000);
  return { runId, listName: cohort.listName, isRepeated: false, release: () => client.end() };
}

/** How often each batch of a list was sent that was sent more than once. */
function repeatsOf(app: TestApp, listId: number): number[] {
  const times = new Map<string, number>();
  for (const { operation, subscribers, listId: id } of app.sandbox.calls.all) {
    if (id !== listId || subscribers === undefined) continue;
    const body = `${operation} ${subscribers.map(({ email }) => email).join(' ')}`;
    times.set(body, (times.get(body) ?? 0) + 1);
  }
  return [...times.values()].filter((count) => count > 1);
}

test('a worker is killed with runs at all stages: another one goes on with each of them, sends twice what was on its way and nothing else, and all adds up', async () => {
  await using app = await startTestApp({
    now: new Date().toISOString(),
    env: { ROLES: 'gateway', ITERABLE_BATCH_SIZE: String(BATCH_SIZE), ITERABLE_CONCURRENCY: '20' },
    mixpanel: { defaultPageSize: 150 },
  });
  await app.connect();
  await using killed = startService({ ...app.env, ROLES: 'worker' });
  await killed.up();
  const held: HeldRun[] = [];
  for (const stage of STAGES) held.push(await holdRun(app, stage));
  const plan = await holdPlan(app);
  held.push(plan);
  await using next = startService({ ...app.env, ROLES: 'worker' });
  await next.up();
  await killed.end('SIGKILL');
  const killedAt = Date.now();
  await plan.release();

  for (const { runId, listName, isRepeated } of held) {
    const run = await app.untilOver(runId);
    const { members, unchanged, removed, added } = run.counts;
    const isSecond = unchanged > 0;
    expect({ listName, status: run.status, members, removed, added }).toEqual({
      listName,
      status: 'SUCCEEDED',
      members: STAYERS.length + JOINERS.length,
      removed: isSecond ? LEAVERS.length : 0,
      added: JOINERS.length + (isSecond ? 0 : STAYERS.length),
    });
    expect(app.iterable.membersOf(listName)).toEqual(
      [...STAYERS, ...JOINERS].map(({ distinctId }) => `${distinctId}@example.com`).sort(),
    );
    expect(await app.readLedger(runId)).toHaveLength(added + removed);
    expect(repeatsOf(app, app.iterable.list(listName)!.id), listName).toEqual(isRepeated ? [2] : []);
  }
  expect(app.iterable.lists.size).toBe(held.length);
  const open = app.app.sync.db.selectFrom('sync_batches').select('id').where('state', '!=', 'SETTLED');
  expect(await open.execute()).toEqual([]);
  const takenUp = next.logs().filter((line) => line.msg === 'run taken up');
  expect(takenUp).toHaveLength(held.length);
  expect(Math.max(...takenUp.map((line) => Number(line.time))) - killedAt).toBeLessThan(TAKE_UP_MS);
});
