import { randomBytes } from 'node:crypto';
import { expect, test, vi } from 'vitest';
import type { Sandbox } from '../sandbox/start-sandbox.ts';
import { type ApiClient, createApiClient } from './support/api-client.ts';
import { createTestDatabase } from './support/database.ts';
import { takePorts } from './support/ports.ts';
import { type ServiceProcess, startService } from './support/service-process.ts';
import { startWatchedSandbox } from './support/watched-sandbox.ts';

/** Each test starts processes; a busy machine must not fail it. */
vi.setConfig({ testTimeout: 150_000 });

const BATCH_SIZE = 100;
const CONCURRENCY = 2;

const RUN_FIELDS = `id status counts { members added unchanged removed rejected notProcessed } error { code }`;

interface Deployment extends AsyncDisposable {
  sandbox: Sandbox;
  ownerSecret: string;
  encryptionKey: string;
  databaseUrl: string;
  /** One process of the service; all of them share the database and the partners. */
  start(env?: Record<string, string>): ServiceProcess;
}

/** Processes of the service on one database, with the sandbox in the partners' place. */
async function createDeployment({ isFirstTokenGiven = true } = {}): Promise<Deployment> {
  const database = await createTestDatabase();
  const sandbox = await startWatchedSandbox();
  const ownerSecret = `owner-${randomBytes(16).toString('hex')}`;
  const encryptionKey = randomBytes(32).toString('base64');
  const services: ServiceProcess[] = [];
  return {
    sandbox,
    ownerSecret,
    encryptionKey,
    databaseUrl: database.url,
    start(env = {}) {
      const service = startService({
        DATABASE_URL: database.url,
        ENCRYPTION_KEY: encryptionKey,
        ...(isFirstTokenGiven ? { BOOTSTRAP_TOKEN: ownerSecret } : {}),
        ITERABLE_REQUESTS_PER_SECOND: '0',
        ITERABLE_BATCH_SIZE: String(BATCH_SIZE),
        ITERABLE_CONCURRENCY: String(CONCURRENCY),
        LOG_LEVEL: 'debug',
        ...sandbox.env,
        ...env,
      });
      services.push(service);
      return service;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service[Symbol.asyncDispose]()));
      await database.drop();
      await sandbox.stop();
    },
  };
}

interface StartedExport {
  runId: string;
  listName: string;
  secrets: string[];
  /** Everybody in the cohort, sorted. */
  emails: string[];
  /** Who is on the list in Iterable. */
  listed(): string[];
}

/** Connects both partners and starts the export of a cohort. isListThere: somebody had made the list before. */
async function startExport(
  { sandbox }: Deployment,
  api: ApiClient,
  { members = 3, isListThere = false } = {},
): Promise<StartedExport> {
  const iterable = sandbox.iterable.addProject({ type: 'EMAIL' });
  const mixpanel = sandbox.mixpanel.addProject();
  const apiKey = iterable.addKey();
  const { username, secret } = mixpanel.addServiceAccount();
  const emailOf = (index: number) => `person.${index}@example.com`;
  const cohort = mixpanel.addCohort({
    name: 'Trial',
    members: {
      count: members,
      member: (index) => ({ distinctId: `person-${index}`, properties: { $email: emailOf(index) } }),
    },
  });
  const listName = `mixpanel_Trial_${cohort.id}`;
  if (isListThere) iterable.addList(listName);
  await api.query(
    `mutation ($apiKey: String!) { connectIntegration(input: { apiKey: $apiKey, projectType: EMAIL }) { status } }`,
    { apiKey },
  );
  await api.query(`mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { status } }`, {
    input: {
      region: 'US',
      projectId: mixpanel.id,
      serviceAccountUsername: username,
      serviceAccountSecret: secret,
    },
  });
  const { cohorts } = await api.query(`{ cohorts { edges { node { id } } } }`);
  const { startSync } = await api.query(
    `mutation ($id: ID!) { startSync(input: { cohortId: $id, syncType: ONE_TIME }) { id } }`,
    { id: cohorts.edges[0].node.id },
  );
  return {
    runId: startSync.id,
    listName,
    secrets: [apiKey, secret],
    emails: Array.from({ length: members }, (_, index) => emailOf(index)).sort(),
    listed: () => iterable.membersOf(listName),
  };
}

/** The run once it is over. */
async function untilOver(api: ApiClient, runId: string) {
  let last: { status: string; counts: Record<string, number>; error: unknown } | undefined;
  for await (const { syncProgress } of api.sse(
    `subscription ($id: ID!) { syncProgress(runId: $id) { ${RUN_FIELDS} } }`,
    { id: runId },
  )) {
    last = syncProgress;
  }
  return last!;
}

/** How often each person was sent to be added. */
function countSendings({ calls }: Sandbox): Map<string, number> {
  const sendings = new Map<string, number>();
  for (const call of calls.of('iterable.subscribe')) {
    for (const { email } of call.subscribers ?? []) sendings.set(email!, (sendings.get(email!) ?? 0) + 1);
  }
  return sendings;
}

/** Slow enough that a signal finds the run in the middle; there are 30 batches to send. */
async function untilInTheMiddle({ calls }: Sandbox): Promise<void> {
  await calls.until((all) => all.filter((call) => call.operation === 'iterable.subscribe').length >= 4);
}
const SLOW = { operation: 'iterable.subscribe', delayMs: 250 };

test('the first start shows an OWNER token and says what to do next; the second does neither', async () => {
  await using deployment = await createDeployment({ isFirstTokenGiven: false });
  await using first = deployment.start();
  const url = await first.up();
  await first.end('SIGTERM');
  const [secret, ...others] = [...new Set(first.output().match(/cs_[\w-]{43}/g))];
  expect(others).toEqual([]);
  expect(first.output().indexOf(secret!)).toBeGreaterThan(first.output().indexOf('Cohort Sync is up'));
  expect(first.output()).toContain('This is the first start.');
  expect(first.output()).toContain(`open ${url} in a browser`);
  expect(first.output()).toContain('connectIntegration');

  await using second = deployment.start();
  const api = createApiClient(await second.up(), secret);
  expect((await api.query(`{ viewer { role } }`)).viewer.role).toBe('OWNER');
  await second.end('SIGTERM');
  expect(second.output()).not.toContain('cs_');
  expect(second.output()).not.toContain('This is the first start.');
});

test('the first token opens everything from the first yes of /ready on', async () => {
  await using deployment = await createDeployment();
  const port = takePorts(1);
  await using service = deployment.start({ PORT: String(port) });
  const url = `http://127.0.0.1:${port}`;
  const isReady = () =>
    fetch(`${url}/ready`).then(
      ({ status }) => status === 200,
      () => false,
    );
  // As often as can be: what counts is the moment between two parts of the start.
  await expect.poll(isReady, { interval: 1, timeout: 60_000 }).toBe(true);
  const { viewer } = await createApiClient(url, deployment.ownerSecret).query('{ viewer { role } }');
  expect(viewer.role).toBe('OWNER');
  await service.end('SIGTERM');
});

test('no secret is in any line of the log, however much is logged', async () => {
  await using deployment = await createDeployment({ isFirstTokenGiven: false });
  await using service = deployment.start({ LOG_LEVEL: 'trace' });
  const url = await service.up();
  const shown = await service.untilOutput(/cs_[\w-]{43}/);
  const api = createApiClient(url, shown);
  const started = await startExport(deployment, api);
  await untilOver(api, started.runId);
  await service.end('SIGTERM');
  const log = JSON.stringify(service.logs());
  expect(log).toContain('run ended');
  const password = new URL(deployment.databaseUrl).password;
  for (const secret of [shown, deployment.encryptionKey, ...started.secrets, ...started.emails]) {
    expect(log).not.toContain(secret);
  }
  expect(log).not.toContain(`:${password}@`);
});

test('every line of the log between the start and the end of a run names the run', async () => {
  await using deployment = await createDeployment();
  await using gateway = deployment.start({ ROLES: 'gateway' });
  await using worker = deployment.start({ ROLES: 'worker', LOG_LEVEL: 'info' });
  const api = createApiClient(await gateway.up(), deployment.ownerSecret);
  const started = await startExport(deployment, api, { isListThere: true });
  await untilOver(api, started.runId);
  const ended = await worker.untilLog((line) => line.msg === 'run ended');
  const lines = worker.logs();
  const first = lines.findIndex((line) => line.msg === 'run started');
  const ofRun = lines.slice(first, lines.indexOf(lines.find((line) => line.msg === ended.msg)!) + 1);
  expect(ofRun.map((line) => line.msg)).toEqual(['run started', 'compared with the real list', 'run ended']);
  const runId = Buffer.from(started.runId, 'base64url').toString().split(':')[1];
  expect(ofRun.map((line) => line.runId)).toEqual([runId, runId, runId]);
});

test('a service that has nothing to do stops at once, with exit code 0', async () => {
  await using deployment = await createDeployment();
  await using service = deployment.start();
  await service.up();
  const startedAt = performance.now();
  expect(await service.end('SIGTERM')).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(service.logs().at(-1)?.msg).toBe('stopped');
});

test('stopped in the middle of a run it finishes its batches, and the next process sends the rest and nobody twice', async () => {
  await using deployment = await createDeployment();
  const { sandbox } = deployment;
  sandbox.faults.add(SLOW);
  await using stopped = deployment.start();
  const started = await startExport(deployment, createApiClient(await stopped.up(), deployment.ownerSecret), {
    members: 3_000,
  });
  await untilInTheMiddle(sandbox);
  const startedAt = performance.now();
  expect(await stopped.end('SIGTERM')).toBe(0);
  expect(performance.now() - startedAt).toBeLessThan(10_000);
  expect(started.listed().length).toBeLessThan(3_000);

  sandbox.faults.clear();
  await using next = deployment.start();
  const run = await untilOver(createApiClient(await next.up(), deployment.ownerSecret), started.runId);
  expect(run).toMatchObject({
    status: 'SUCCEEDED',
    counts: { members: 3_000, added: 3_000, unchanged: 0, rejected: 0, notProcessed: 0 },
  });
  expect(started.listed()).toEqual(started.emails);
  expect(new Set(countSendings(sandbox).values())).toEqual(new Set([1]));
});

test('a gateway in one process and worker and scheduler in another do a run together', async () => {
  await using deployment = await createDeployment();
  await using gateway = deployment.start({ ROLES: 'gateway' });
  await using worker = deployment.start({ ROLES: 'worker,scheduler' });
  const [url, workerUrl] = await Promise.all([gateway.up(), worker.up()]);
  expect(workerUrl).toBe('');
  const api = createApiClient(url, deployment.ownerSecret);
  const started = await startExport(deployment, api);
  expect(await untilOver(api, started.runId)).toMatchObject({ status: 'SUCCEEDED', counts: { added: 3 } });
  expect(started.listed()).toEqual(started.emails);
  expect(gateway.logs().filter((line) => line.runId !== undefined)).toEqual([]);
});
