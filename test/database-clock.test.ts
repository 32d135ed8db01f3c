import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterEach, expect, test, vi } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { startDatabaseClock } from '../db/database-clock.ts';
import { createApiClient } from './support/api-client.ts';
import { connectPartners } from './support/connect-partners.ts';
import { createTestDatabase } from './support/database.ts';
import { startService } from './support/service-process.ts';
import { startWatchedSandbox } from './support/watched-sandbox.ts';

afterEach(() => vi.useRealTimers());

test('the time is that of the database, whatever the clock of the machine says', async () => {
  const database = await createTestDatabase();
  const { db, stop } = connectDatabase({ url: database.url });
  const clock = await startDatabaseClock(db, () => undefined);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2001-01-01T00:00:00Z') });
  const readDatabase = async () => {
    const { rows } = await sql<{ at: Date }>`select clock_timestamp() as at`.execute(db);
    return rows[0]!.at.getTime();
  };
  const before = await readDatabase();
  const now = clock.now().getTime();
  const after = await readDatabase();
  // What is not known is how long the answer was on its way.
  expect(now).toBeGreaterThan(before - 1_000);
  expect(now).toBeLessThan(after + 1_000);
  clock.stop();
  await stop();
  await database.drop();
});

/** For a process whose machine is wrong about the time. */
function withClockOff(hours: number): Record<string, string> {
  const code = `const True = Date; const off = ${hours * 3_600_000};
    globalThis.Date = class extends True {
      constructor(...given) { if (given.length === 0) super(True.now() + off); else super(...given); }
      static now() { return True.now() + off; }
    };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
}

test('processes whose clocks are an hour apart miss no beat and keep none twice', {
  timeout: 180_000,
}, async () => {
  const INTERVAL_MS = 2_000;
  const database = await createTestDatabase();
  const sandbox = await startWatchedSandbox();
  const ownerSecret = `owner-${randomBytes(16).toString('hex')}`;
  const env = {
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    BOOTSTRAP_TOKEN: ownerSecret,
    DYNAMIC_SYNC_INTERVAL: `${INTERVAL_MS / 1000}s`,
    MIXPANEL_QUERIES_PER_HOUR: '0',
    ITERABLE_REQUESTS_PER_SECOND: '0',
    ...sandbox.env,
  };
  {
    await using behind = startService({ ...env, ...withClockOff(-1) });
    const api = createApiClient(await behind.up(), ownerSecret);
    await using ahead = startService({ ...env, ...withClockOff(1), ROLES: 'worker,scheduler' });
    await using right = startService({ ...env, ROLES: 'worker,scheduler' });
    await Promise.all([ahead.up(), right.up()]);
    const iterable = sandbox.iterable.addProject({ type: 'EMAIL' });
    const mixpanel = sandbox.mixpanel.addProject();
    mixpanel.addCohort({
      name: 'Trial',
      members: [{ distinctId: 'a', properties: { $email: 'a@example.com' } }],
    });
    await connectPartners(api, { iterable, mixpanel });
    const { cohorts } = await api.query(`{ cohorts { edges { node { id } } } }`);
    const { startSync } = await api.query(
      `mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: DYNAMIC }) { export { id createdAt } } }`,
      { id: cohorts.edges[0].node.id },
    );
    const { id: exportId, createdAt } = startSync.export;
    const readBeats = async () => {
      const { export: exported } = await api.query(
        `query ($id: ID!) { export(id: $id) { nextRunAt runs(first: 100) { edges { node { queuedAt trigger } } } } }`,
        { id: exportId },
      );
      const beatOf = (instant: string) =>
        Math.floor((Date.parse(instant) - Date.parse(createdAt)) / INTERVAL_MS);
      const runs: { trigger: string; queuedAt: string }[] = exported.runs.edges.map(
        (edge: { node: unknown }) => edge.node,
      );
      const beats = runs.filter((run) => run.trigger === 'SCHEDULED').map((run) => beatOf(run.queuedAt));
      return { beats, nextBeat: beatOf(exported.nextRunAt) };
    };
    const untilBeats = async (count: number) => {
      const read = async () => (await readBeats()).beats.length;
      await expect.poll(read, { timeout: 60_000 }).toBeGreaterThanOrEqual(count);
      return await readBeats();
    };
    expect(Math.abs(Date.parse(createdAt) - Date.now())).toBeLessThan(60_000);
    const { beats, nextBeat } = await untilBeats(3);
    expect(new Set(beats).size).toBe(beats.length);
    // Not an hour from now.
    expect(nextBeat - beats[0]!).toBeLessThan(60);
    // Those whose time was taken for the right one would leave a gap of an hour.
    await right.end('SIGKILL');
    await ahead.end('SIGKILL');
    const further = await untilBeats(beats.length + 2);
    expect(new Set(further.beats).size).toBe(further.beats.length);
  }
  await database.drop();
  await sandbox.stop();
});
