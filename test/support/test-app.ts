import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { IterableProject, IterableSettings } from '../../sandbox/iterable/project.ts';
import type {
  Member,
  MemberList,
  MixpanelProject,
  MixpanelSettings,
} from '../../sandbox/mixpanel/project.ts';
import type { Sandbox } from '../../sandbox/start-sandbox.ts';
import { type App, startApp } from '../../src/app.ts';
import { readEnv } from '../../src/env.ts';
import { type ApiClient, createApiClient } from './api-client.ts';
import { checkSnapshot } from './check-run.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { startWatchedSandbox } from './watched-sandbox.ts';

const RUN_FIELDS = `id status phase progress revision trigger queuedAt startedAt finishedAt notices
  counts { members added unchanged removed rejected notProcessed pendingRemovals requestsSent }
  error { code message retryable }`;

export interface RunSnapshot {
  id: string;
  status: string;
  phase: string;
  progress: number;
  revision: number;
  trigger: string;
  finishedAt: string | null;
  notices: string[];
  counts: Record<
    | 'members'
    | 'added'
    | 'unchanged'
    | 'removed'
    | 'rejected'
    | 'notProcessed'
    | 'pendingRemovals'
    | 'requestsSent',
    number
  >;
  error: { code: string; message: string; retryable: boolean } | null;
}

export interface LedgerMember {
  distinctId: string | null;
  email: string | null;
  userId: string | null;
  outcome: string;
  reason: string | null;
  detail: string | null;
}

export interface TestAppOptions {
  /** Instant at which the clock stands. */
  now?: string;
  /** Time passes, for the service and for the partners; app.clock moves nothing. */
  realTime?: boolean;
  env?: Record<string, string>;
  /** Told the text of every SQL statement of the app's own pool. */
  onStatement?: (text: string) => void;
  iterable?: { type?: 'EMAIL' | 'USER_ID' | 'HYBRID'; dataCenter?: 'US' | 'EU' } & Partial<IterableSettings>;
  mixpanel?: Partial<MixpanelSettings>;
  /** The test provokes faults of the service's own; otherwise they fail it. */
  allowFaults?: boolean;
}

/** The service as a user meets it, on a database of its own, with the sandbox in the partners' place. */
export interface TestApp extends AsyncDisposable {
  url: string;
  database: TestDatabase;
  env: Record<string, string>;
  clock: ManualClock;
  sandbox: Sandbox;
  iterable: IterableProject;
  mixpanel: MixpanelProject;
  app: App;
  /** Lines of the log, parsed. */
  logs: Record<string, unknown>[];
  /** With the OWNER token of the first project. */
  api: ApiClient;
  ownerSecret: string;
  /** A client with another token; none for undefined. */
  as(secret: string | undefined): ApiClient;
  connectIterable(input?: Record<string, unknown>): Promise<void>;
  connectMixpanel(input?: Record<string, unknown>): Promise<void>;
  /** Both partners, as most tests want them. idMerge ORIGINAL unless given. */
  connect(options?: {
    idMerge?: 'ORIGINAL' | 'SIMPLIFIED';
    userIdFallback?: 'NONE' | 'DISTINCT_ID';
  }): Promise<void>;
  /** A cohort in Mixpanel, and the service's id of it after a refresh. */
  addCohort(
    name: string,
    members: Member[] | MemberList,
  ): Promise<{ id: string; externalId: number; listName: string }>;
  startSync(
    cohortId: string,
    syncType?: 'ONE_TIME' | 'DYNAMIC',
  ): Promise<{ runId: string; exportId: string }>;
  runExport(exportId: string): Promise<string>;
  /** The run as it is once it is over. Every snapshot on the way is checked for what must hold of any. */
  untilOver(runId: string, by?: ApiClient): Promise<RunSnapshot>;
  /** Starts a sync and waits for its end. */
  syncToEnd(cohortId: string, syncType?: 'ONE_TIME' | 'DYNAMIC'): Promise<RunSnapshot & { exportId: string }>;
  /** Runs an existing export and waits for the end of the run. */
  runToEnd(exportId: string): Promise<RunSnapshot>;
  /** The newest run of an export once this many of its runs are over. */
  untilRuns(exportId: string, count: number): Promise<RunSnapshot>;
  readRun(runId: string): Promise<RunSnapshot>;
  /** Everybody in the run's ledger. */
  readLedger(runId: string, filter?: { outcome?: string; reason?: string }): Promise<LedgerMember[]>;
}

export async function startTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const clock = createManualClock(options.now);
  const database = await createTestDatabase();
  const sandbox = await startWatchedSandbox(
    options.realTime ? {} : { clock: { now: () => clock.now().getTime() } },
  );
  const iterable = sandbox.iterable.addProject({ type: 'EMAIL', ...options.iterable });
  const mixpanel = sandbox.mixpanel.addProject(options.mixpanel);
  const ownerSecret = `owner-${randomBytes(16).toString('hex')}`;
  const env = {
    PORT: '0',
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    BOOTSTRAP_TOKEN: ownerSecret,
    ITERABLE_REQUESTS_PER_SECOND: '0',
    ITERABLE_VISIBILITY_DELAY: '0s',
    PARTNER_RETRY_BUDGET: '5s',
    LOG_FORMAT: 'json',
    ...sandbox.env,
    ...options.env,
  };
  const logs: Record<string, unknown>[] = [];
  const app = await startApp({
    env: readEnv(env, false),
    logger: pino({ level: 'debug', base: undefined }, collectLines(logs)),
    ...(options.realTime ? {} : { clock }),
    ...(options.onStatement ? { onStatement: options.onStatement } : {}),
  });
  const url = app.url ?? '';
  const api = createApiClient(url, ownerSecret);

  const test: TestApp = {
    url,
    database,
    env,
    clock,
    sandbox,
    iterable,
    mixpanel,
    app,
    logs,
    api,
    ownerSecret,
    as: (secret) => createApiClient(url, secret),
    async connectIterable(input = {}) {
      await api.query(
        `mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { id } }`,
        {
          input: {
            apiKey: iterable.addKey(),
            projectType: iterable.type,
            dataCenter: iterable.dataCenter,
            ...input,
          },
        },
      );
    },
    async connectMixpanel(input = {}) {
      const account = mixpanel.addServiceAccount();
      await api.query(`mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { id } }`, {
        input: {
          region: mixpanel.region,
          projectId: mixpanel.id,
          serviceAccountUsername: account.username,
          serviceAccountSecret: account.secret,
          ...input,
        },
      });
    },
    async connect({ idMerge = 'ORIGINAL', userIdFallback = 'NONE' } = {}) {
      await test.connectIterable({ userIdFallback });
      await test.connectMixpanel({ idMerge });
    },
    async addCohort(name, members) {
      const cohort = mixpanel.addCohort({ name, members });
      const { refreshCohorts } = await api.query(`mutation { refreshCohorts { id externalId } }`);
      const found = refreshCohorts.find(
        (one: { externalId: string }) => one.externalId === String(cohort.id),
      );
      return { id: found.id, externalId: cohort.id, listName: `mixpanel_${name}_${cohort.id}` };
    },
    async startSync(cohortId, syncType = 'ONE_TIME') {
      const { startSync } = await api.query(
        `mutation ($input: StartSyncInput!) { startSync(input: $input) { id export { id } } }`,
        { input: { cohortId, syncType } },
      );
      return { runId: startSync.id, exportId: startSync.export.id };
    },
    async runExport(exportId) {
      const { runExport } = await api.query(`mutation ($id: ID!) { runExport(exportId: $id) { id } }`, {
        id: exportId,
      });
      return runExport.id;
    },
    async untilOver(runId, by = api) {
      let last: RunSnapshot | undefined;
      for await (const value of by.sse(
        `subscription ($id: ID!) { syncProgress(runId: $id) { ${RUN_FIELDS} } }`,
        { id: runId },
      )) {
        checkSnapshot(value.syncProgress, last);
        last = value.syncProgress;
      }
      return last!;
    },
    async syncToEnd(cohortId, syncType) {
      const { runId, exportId } = await test.startSync(cohortId, syncType);
      return { ...(await test.untilOver(runId)), exportId };
    },
    async runToEnd(exportId) {
      return await test.untilOver(await test.runExport(exportId));
    },
    async untilRuns(exportId, count) {
      const read = async () => {
        const { export: exported } = await api.query(
          `query ($id: ID!) { export(id: $id) { runs(first: 100) { edges { node { ${RUN_FIELDS} } } } } }`,
          { id: exportId },
        );
        const runs: RunSnapshot[] = exported.runs.edges.map((edge: { node: RunSnapshot }) => edge.node);
        return runs.filter((run) => run.finishedAt !== null);
      };
      for await (const _ of api.sse(`subscription ($id: ID!) { syncRunUpdated(exportId: $id) { id } }`, {
        id: exportId,
      })) {
        const over = await read();
        if (over.length >= count) return over[0]!;
      }
      throw new Error('The stream of runs ended before there were enough.');
    },
    async readRun(runId) {
      return (await api.query(`query ($id: ID!) { syncRun(id: $id) { ${RUN_FIELDS} } }`, { id: runId }))
        .syncRun;
    },
    async readLedger(runId, filter = {}) {
      const all: LedgerMember[] = [];
      let after: string | null = null;
      do {
        const answer: {
          syncRun: {
            members: {
              totalCount: number;
              edges: { node: LedgerMember }[];
              pageInfo: { hasNextPage: boolean; endCursor: string };
            };
          };
        } = await api.query(
          `query ($id: ID!, $after: String, $outcome: [MemberOutcome!], $reason: [RejectionReason!]) {
            syncRun(id: $id) { members(first: 100, after: $after, outcome: $outcome, reason: $reason) {
              totalCount edges { node { distinctId email userId outcome reason detail } }
              pageInfo { hasNextPage endCursor }
            } } }`,
          { id: runId, after, ...filter },
        );
        const { edges, pageInfo } = answer.syncRun.members;
        all.push(...edges.map((edge) => edge.node));
        after = pageInfo.hasNextPage ? pageInfo.endCursor : null;
      } while (after !== null);
      return all;
    },
    async [Symbol.asyncDispose]() {
      await app.stop();
      await database.drop();
      await sandbox.stop();
      const faults = logs.filter((line) => String(line.msg).endsWith('by a fault of ours'));
      if (faults.length > 0 && !options.allowFaults)
        throw new Error(`The service met faults of its own: ${JSON.stringify(faults)}`);
      const { complaints } = sandbox.calls;
      if (complaints.length > 0)
        throw new Error(`No careful client sends this: ${JSON.stringify(complaints)}`);
    },
  };
  return test;
}

export function collectLines(...targets: Record<string, unknown>[][]): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().split('\n')) {
        if (line !== '') for (const target of targets) target.push(JSON.parse(line));
      }
      done();
    },
  });
}
