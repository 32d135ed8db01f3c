import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import pg from 'pg';
import type { IterableProject } from '../../sandbox/iterable/project.ts';
import type { MixpanelProject } from '../../sandbox/mixpanel/project.ts';
import { type Sandbox, startSandbox } from '../../sandbox/start-sandbox.ts';
import { breakConnections, startOwnPostgres } from '../../test/support/own-postgres.ts';
import { type Cluster, startCluster } from './cluster.ts';
import { type Cohort, createCohort } from './cohort.ts';

/** What the partners take to answer, so that there is time to be struck in. */
const UPDATE_DELAY_MS = 100;
const PAGE_DELAY_MS = 20;
const BATCHES = 360;
const PAGES_AT_ONCE = 5;
const WORKERS = 3;
const POLL_MS = 10;
/** Batches that may be on their way at once. */
export const CONCURRENCY = 2;

const COHORT_NAME = 'Everybody';

export interface RunRow {
  id: string;
  phase: string;
  attempt: number;
  revision: number;
  isOver: boolean;
  /** Whoever has taken the run up last has written to it since. */
  isWrittenByAttempt: boolean;
}

/** Processes of the service, the partners, a database of their own, and the latest run as the database has it. */
export interface Scene extends AsyncDisposable {
  sandbox: Sandbox;
  iterable: IterableProject;
  mixpanel: MixpanelProject;
  cluster: Cluster;
  postgres: { crash(): Promise<void>; breakConnections(): Promise<void> };
  pool: pg.Pool;
  cohort: Cohort & { id: string; externalId: number; listName: string };
  /** How long it takes to read, to plan (roughly), and to send a batch, in milliseconds. */
  readMs: number;
  planMs: number;
  batchMs: number;
  /** The newest run; waits for the database when it is away. */
  readRun(): Promise<RunRow>;
  untilRun(isIt: (run: RunRow) => boolean, patienceMs: number): Promise<RunRow>;
  countOpen(run: RunRow, kind: 'ADD' | 'REMOVE'): Promise<number>;
}

export async function openScene(size: number): Promise<Scene> {
  const postgres = await startOwnPostgres();
  const sandbox = await startSandbox();
  const cohort = createCohort(size);
  const iterable = sandbox.iterable.addProject({ type: 'EMAIL', refusals: cohort.refusals });
  for (const address of cohort.forgotten) iterable.forgetUsers('email', address);
  const mixpanel = sandbox.mixpanel.addProject({ queriesPerHour: Number.POSITIVE_INFINITY });
  const { id: externalId } = mixpanel.addCohort({ name: COHORT_NAME, members: cohort.members(0) });
  const cluster = await startCluster(
    {
      DATABASE_URL: postgres.url,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      BOOTSTRAP_TOKEN: `owner-${randomBytes(16).toString('hex')}`,
      // What runs is what the program starts, as fast as it can.
      COHORT_REFRESH_INTERVAL: '24h',
      MIXPANEL_QUERIES_PER_HOUR: '0',
      ITERABLE_REQUESTS_PER_SECOND: '0',
      ITERABLE_BATCH_SIZE: String(Math.min(1_000, Math.ceil(size / BATCHES))),
      ITERABLE_CONCURRENCY: String(CONCURRENCY),
      ...sandbox.env,
    },
    WORKERS,
  );
  const id = await connectPartners(cluster, iterable, mixpanel, externalId);
  for (const operation of ['iterable.subscribe', 'iterable.unsubscribe']) {
    sandbox.faults.add({ operation, delayMs: UPDATE_DELAY_MS });
  }
  sandbox.faults.add({ operation: 'mixpanel.engage', delayMs: PAGE_DELAY_MS });
  const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
  pool.on('error', () => undefined);
  const query = async (text: string, values: unknown[]) => {
    for (;;) {
      try {
        return (await pool.query(text, values)).rows;
      } catch {
        await wait(POLL_MS);
      }
    }
  };
  let writtenAt = { attempt: 0, revision: 0 };
  const scene: Scene = {
    sandbox,
    iterable,
    mixpanel,
    cluster,
    pool,
    postgres: { crash: postgres.crash, breakConnections: () => breakConnections(postgres.url) },
    cohort: { ...cohort, id, externalId, listName: `mixpanel_${COHORT_NAME}_${externalId}` },
    readMs: Math.ceil(size / mixpanel.settings.defaultPageSize / PAGES_AT_ONCE) * PAGE_DELAY_MS + 300,
    planMs: Math.max(200, size / 100),
    batchMs: UPDATE_DELAY_MS / CONCURRENCY,
    async readRun() {
      const [row] = await query(
        `select id, phase, attempt, revision::int, finished_at is not null as "isOver"
         from sync_runs order by id desc limit 1`,
        [],
      );
      if (row.attempt !== writtenAt.attempt) writtenAt = row;
      return { ...row, isWrittenByAttempt: row.revision > writtenAt.revision };
    },
    async untilRun(isIt, patienceMs) {
      const giveUpAt = performance.now() + patienceMs;
      for (;;) {
        const run = await scene.readRun();
        if (isIt(run)) return run;
        if (performance.now() > giveUpAt) throw new Error(`In vain: ${JSON.stringify(run)}`);
        await wait(POLL_MS);
      }
    },
    async countOpen(run, kind) {
      const [row] = await query(
        `select count(*)::int as open from sync_batches
         where run_id = $1 and kind = $2 and state in ('PLANNED', 'SENT')`,
        [run.id, kind],
      );
      return row.open;
    },
    async [Symbol.asyncDispose]() {
      await cluster[Symbol.asyncDispose]();
      await pool.end();
      await sandbox.stop();
      await postgres[Symbol.asyncDispose]();
    },
  };
  return scene;
}

/** Gives the service's id of the cohort. */
async function connectPartners(
  { query }: Cluster,
  iterable: IterableProject,
  mixpanel: MixpanelProject,
  externalId: number,
): Promise<string> {
  const account = mixpanel.addServiceAccount();
  await query('mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }', {
    input: { apiKey: iterable.addKey(), projectType: 'EMAIL' },
  });
  await query('mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }', {
    input: {
      region: mixpanel.region,
      projectId: mixpanel.id,
      serviceAccountUsername: account.username,
      serviceAccountSecret: account.secret,
      idMerge: 'ORIGINAL',
    },
  });
  const { cohorts } = await query('{ cohorts { edges { node { id externalId } } } }');
  return cohorts.edges.find(
    ({ node }: { node: { externalId: string } }) => node.externalId === String(externalId),
  ).node.id;
}
