import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { call } from './raw-http.ts';
import { note, type Target, type Told } from './target.ts';

/** Something that waits for as long as nobody may read rejections. */
const QUERY = `{ syncRuns(first: 1) { edges { node { members(first: 1, outcome: REJECTED) {
  edges { node { reason } } } } } } }`;
const WAITING = `select from pg_stat_activity
  where wait_event_type = 'Lock' and query like '%rejections%' and datname = current_database()`;

/** Callers who leave in the middle of a slow query. Notes whether PostgreSQL goes on with what they had asked for. */
export async function leaveInTheMiddle(
  target: Target,
  database: pg.Client,
  { callers = 5, goneWithinMs = 2_000 } = {},
): Promise<Told> {
  const told: Told = {};
  await database.query('begin');
  try {
    await database.query('lock table rejections in access exclusive mode');
    const leaving = new AbortController();
    const calls = Array.from({ length: callers }, () =>
      call(target, '/graphql', {
        headers: { authorization: `Bearer ${target.token}` },
        body: JSON.stringify({ query: QUERY }),
        signal: leaving.signal,
      }).catch(() => undefined),
    );
    const waiting = async () => {
      // Within a transaction it would say the same each time.
      await database.query('select pg_stat_clear_snapshot()');
      return (await database.query(WAITING)).rowCount ?? 0;
    };
    for (let tries = 0; tries < 100 && (await waiting()) === 0; tries++) await sleep(50);
    const begun = await waiting();
    leaving.abort();
    await Promise.all(calls);
    const leftAt = performance.now();
    while ((await waiting()) > 0 && performance.now() - leftAt < goneWithinMs) await sleep(50);
    note(told, begun === 0 ? 'nothing was slow' : 'statements begun', Math.max(1, begun));
    note(told, 'still there after two seconds', await waiting());
  } finally {
    await database.query('rollback');
  }
  return told;
}
