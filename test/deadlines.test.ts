import pg from 'pg';
import { expect, test } from 'vitest';
import { startTestApp, type TestApp } from './support/test-app.ts';

/** Less than the five seconds after which a statement of the gateway gives a lock up by itself. */
const PATIENCE = { timeout: 4_000 };
const COHORTS = '{ cohorts { totalCount } }';

/** Somebody else holds the table, so that every statement about cohorts waits. */
async function lockCohorts(app: TestApp) {
  const holder = new pg.Client({ connectionString: app.database.url });
  await holder.connect();
  await holder.query('begin; lock table cohorts in access exclusive mode');
  // Within its transaction the holder would see the same activity for ever.
  const observer = new pg.Client({ connectionString: app.database.url });
  await observer.connect();
  const waiting = async () => {
    const { rows } = await observer.query(
      `select count(*)::int as count from pg_stat_activity
       where datname = current_database() and wait_event_type = 'Lock' and query like '%cohorts%'`,
    );
    return rows[0].count as number;
  };
  return { waiting, release: () => Promise.all([holder.end(), observer.end()]) };
}

function ask(app: TestApp, signal: AbortSignal, query = COHORTS) {
  return fetch(`${app.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${app.ownerSecret}` },
    body: JSON.stringify({ query }),
    signal,
  });
}

test('the statements of a caller who leaves are ended in PostgreSQL', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const lock = await lockCohorts(app);
  const leaving = new AbortController();
  const asked = ask(app, leaving.signal);
  await expect.poll(lock.waiting, PATIENCE).toBeGreaterThan(0);
  leaving.abort();
  await expect(asked).rejects.toThrow();
  await expect.poll(lock.waiting, PATIENCE).toBe(0);
  await lock.release();
  expect(await app.api.query(COHORTS)).toEqual({ cohorts: { totalCount: 0 } });
});

test('so are those of a WebSocket that closes', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const lock = await lockCohorts(app);
  const client = app.api.webSocket();
  client.subscribe(
    { query: COHORTS },
    { next: () => undefined, error: () => undefined, complete: () => undefined },
  );
  await expect.poll(lock.waiting, PATIENCE).toBeGreaterThan(0);
  client.terminate();
  await expect.poll(lock.waiting, PATIENCE).toBe(0);
  await lock.release();
});

test('of two callers who share an answer, one may leave', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const lock = await lockCohorts(app);
  const leaving = new AbortController();
  const stays = ask(app, new AbortController().signal);
  const leaves = ask(app, leaving.signal);
  await expect.poll(lock.waiting, PATIENCE).toBeGreaterThan(0);
  leaving.abort();
  await expect(leaves).rejects.toThrow();
  await lock.release();
  expect(await (await stays).json()).toEqual({ data: { cohorts: { totalCount: 0 } } });
});

test('one token that keeps connections busy leaves some to the others', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const { createApiToken } = await app.api.query(
    'mutation { createApiToken(input: { name: "other", role: CONSUMER }) { secret } }',
  );
  const lock = await lockCohorts(app);
  const leaving = new AbortController();
  const asked = Array.from({ length: 50 }, (_, index) =>
    ask(app, leaving.signal, `{ a${index}: cohorts { totalCount } }`).catch(() => undefined),
  );
  await expect.poll(lock.waiting, PATIENCE).toBeGreaterThan(2);
  expect(await app.as(createApiToken.secret).query('{ apiTokens { totalCount } }')).toEqual({
    apiTokens: { totalCount: 2 },
  });
  leaving.abort();
  await Promise.all(asked);
  await lock.release();
});
