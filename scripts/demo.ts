import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import type { SandboxCohort } from '../sandbox/mixpanel/project.ts';
import { type PushTarget, pushCohort } from '../sandbox/mixpanel/push.ts';
import { type Sample, seedSample } from '../sandbox/sample.ts';
import { type Sandbox, startSandbox } from '../sandbox/start-sandbox.ts';
import { type App, startApp } from '../src/app.ts';
import { type Env, readEnv } from '../src/env.ts';
import { createLogger } from '../src/logger.ts';
import { carryEvents } from './demo-events.ts';

/**
 * The sandbox and the service together: connects both partners, exports a cohort of 50,000 people through the public
 * API, shows the run as the public subscription tells it, and checks that the list equals the cohort; the same with a
 * cohort that Mixpanel pushes; and Iterable's events on their way to Mixpanel. Then it stays up, or ends with --once: exit
 * code 0 only when lists and cohorts are equal and every event arrived. Leaves nothing behind.
 */
const isOnce = process.argv.includes('--once');
/** Often enough to be watched, seldom enough for Mixpanel's 60 queries an hour. */
const SYNC_INTERVAL = '2m';

const stops: (() => Promise<unknown>)[] = [];
/** What must be over before anything is stopped: it may just be starting a PostgreSQL. */
let starting: Promise<unknown> = Promise.resolve();
const stopping = new AbortController();
// A terminal that is gone takes no more words, and is no reason to leave anything behind.
process.stdout.on('error', () => undefined);
// npm passes on what the terminal has sent already, so each of them may come twice.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, interrupt);

try {
  const isEqual = await demonstrate();
  if (isOnce || !isEqual) await stop(isEqual ? 0 : 1);
} catch (error) {
  // Whatever is under way at a stop fails.
  if (!stopping.signal.aborted)
    say(`The demo failed: ${error instanceof Error ? error.message : String(error)}`);
  await stop(1);
}

async function demonstrate(): Promise<boolean> {
  say('Starting the sandbox (it plays Iterable and Mixpanel) and the service with a PostgreSQL of its own …');
  const startedAt = performance.now();
  const sandbox = await startSandbox();
  stops.push(() => sandbox.stop());
  const sample = seedSample(sandbox);
  const service = startService(sandbox);
  starting = service.catch(() => undefined);
  const { app, url, token } = await service;
  say(`Up after ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${url}\n`);

  const api = createApi(url, token);
  await connectPartners(api, sample);
  say('Connected Iterable and Mixpanel.');
  const cohorts = await listCohorts(api);
  const customers = cohorts.find((cohort) => cohort.externalId === String(sample.cohorts.customers.id))!;
  const trial = cohorts.find((cohort) => cohort.externalId === String(sample.cohorts.trial.id))!;
  for (const cohort of cohorts) {
    say(
      `  ${cohort.name}: ${cohort.memberCount} ${cohort.exportable ? 'people' : '(a group cohort, not exportable)'}`,
    );
  }

  const exportAndShow = async (cohort: ListedCohort, syncType: string, wanted: SandboxCohort) => {
    const { startSync } = await api<{ startSync: { id: string; export: { listName: string } } }>(
      `mutation ($input: StartSyncInput!) { startSync(input: $input) { id export { listName } } }`,
      { input: { cohortId: cohort.id, syncType } },
    );
    const { listName } = startSync.export;
    say(`\nExporting "${cohort.name}" to the list ${listName}:`);
    await showProgress(url, token, startSync.id);
    const emails = emailsOf(wanted);
    const isEqual = isDeepStrictEqual(emails, sample.iterable.membersOf(listName));
    const unknown = wanted.members.count - emails.length;
    const exception = unknown === 0 ? '' : `, but for ${unknown} who have no e-mail address`;
    say(`\nThe list in Iterable ${isEqual ? 'equals' : 'does NOT equal'} the cohort${exception}.`);
    return { runId: startSync.id, isEqual };
  };
  const read = await exportAndShow(customers, 'ONE_TIME', sample.cohorts.customers);
  const pushed = await exportAndShow(
    await receivePush(api, url, sample),
    'DYNAMIC',
    sample.cohorts.newsletter,
  );
  const isCarried = await carryEvents({ api, url, sandbox, sample, say });
  const isEqual = read.isEqual && pushed.isEqual && isCarried;
  if (isEqual && !isOnce) tellWhatNext({ url, token, sandbox, trialId: trial.id, runId: read.runId });
  app.sync.logger.flush();
  return isEqual;
}

/** Mixpanel pushes a cohort to the service's webhook; gives it as soon as it has come whole. */
async function receivePush(api: Api, url: string, { mixpanel, cohorts }: Sample): Promise<ListedCohort> {
  const { mixpanel: connection } = await api<{ mixpanel: { webhook: PushTarget } }>(
    `{ mixpanel { webhook { url username password } } }`,
  );
  const { webhook } = connection;
  // The service may have had to take another port than the usual one.
  const target = { ...webhook, url: `${url}${new URL(webhook.url).pathname}` };
  say(`\nMixpanel pushes "${cohorts.newsletter.name}" to the service's webhook, its pages in any order.`);
  const { status, message } = await pushCohort(mixpanel, cohorts.newsletter, target, { isShuffled: true });
  if (status !== 'SUCCEEDED') throw new Error(`The push ended as ${status}: ${message}`);
  for (;;) {
    const whole = (await listCohorts(api, 'MIXPANEL_WEBHOOK')).find(
      ({ memberCount }) => memberCount !== null,
    );
    if (whole) return whole;
    await wait(100);
  }
}

async function startService(sandbox: Sandbox): Promise<{ app: App; url: string; token: string }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'cohort-sync-demo-'));
  stops.push(() => rm(dataDir, { recursive: true, force: true }));
  const token = randomBytes(24).toString('base64url');
  const env = readEnv(
    {
      ...sandbox.env,
      DATA_DIR: dataDir,
      BOOTSTRAP_TOKEN: token,
      PORT: process.env.PORT ?? (isOnce ? '0' : '4000'),
      DYNAMIC_SYNC_INTERVAL: SYNC_INTERVAL,
      LOG_LEVEL: process.env.LOG_LEVEL ?? 'warn',
    },
    process.stdout.isTTY,
  );
  const app = await startOnFreePort(env);
  stops.push(() => app.stop());
  return { app, url: app.url!, token };
}

/** On the usual port, or on any other when somebody has that one. */
async function startOnFreePort(env: Env): Promise<App> {
  const logger = createLogger(env);
  try {
    return await startApp({ env, logger, signal: stopping.signal });
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code !== 'EADDRINUSE') throw error;
    say(`Port ${env.port} is taken, so the service takes another one.`);
    return await startApp({ env: { ...env, port: 0 }, logger, signal: stopping.signal });
  }
}

type Api = <Data>(query: string, variables?: Record<string, unknown>) => Promise<Data>;

function createApi(url: string, token: string): Api {
  return async (query, variables) => {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors } = (await response.json()) as { data: never; errors?: { message: string }[] };
    if (errors) throw new Error(errors.map((error) => error.message).join('; '));
    return data;
  };
}

async function connectPartners(api: Api, sample: Sample): Promise<void> {
  await api(`mutation ($input: ConnectIntegrationInput!) { connectIntegration(input: $input) { status } }`, {
    input: { apiKey: sample.apiKey, projectType: 'EMAIL' },
  });
  await api(`mutation ($input: ConnectMixpanelInput!) { connectMixpanel(input: $input) { status } }`, {
    input: {
      region: 'US',
      projectId: sample.mixpanel.id,
      serviceAccountUsername: sample.serviceAccount.username,
      serviceAccountSecret: sample.serviceAccount.secret,
      idMerge: 'ORIGINAL',
    },
  });
}

interface ListedCohort {
  id: string;
  externalId: string;
  name: string;
  memberCount: number | null;
  exportable: boolean;
}

async function listCohorts(api: Api, source = 'MIXPANEL'): Promise<ListedCohort[]> {
  const { cohorts } = await api<{ cohorts: { edges: { node: ListedCohort }[] } }>(
    `query ($source: [CohortSource!]) {
      cohorts(source: $source) { edges { node { id externalId name memberCount exportable } } } }`,
    { source },
  );
  return cohorts.edges.map((edge) => edge.node);
}

interface Progress {
  syncProgress: {
    status: string;
    phase: string;
    progress: number;
    counts: { members: number; added: number; rejected: number };
    error: { message: string } | null;
  };
}

/** One line that is written over on a terminal, and a line a second elsewhere. */
async function showProgress(url: string, token: string, runId: string): Promise<void> {
  const client = createClient({
    url: `${url.replace('http', 'ws')}/graphql`,
    webSocketImpl: WebSocket,
    connectionParams: { authorization: `Bearer ${token}` },
  });
  let shownAt = Number.NEGATIVE_INFINITY;
  let line = '';
  for await (const { data } of client.iterate<Progress>({
    query: `subscription ($runId: ID!) { syncProgress(runId: $runId) {
      status phase progress counts { members added rejected } error { message } } }`,
    variables: { runId },
  })) {
    const { status, phase, progress, counts, error } = data!.syncProgress;
    const bar = '█'.repeat(Math.round(progress * 30)).padEnd(30, '·');
    // How many there are is known once all of them have been read.
    const people = counts.members === 0 ? '' : `  ${counts.added} of ${counts.members} people added`;
    line = `  ${bar} ${Math.floor(progress * 100)} %  ${phase === 'DONE' ? status : phase}${people}${error ? `  ${error.message}` : ''}`;
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${line}`);
    else if (performance.now() - shownAt >= 1000) {
      shownAt = performance.now();
      say(line);
      line = '';
    }
  }
  if (line !== '') process.stdout.write(process.stdout.isTTY ? '\n' : `${line}\n`);
  await client.dispose();
}

/** Of everybody in the cohort who can be known in Iterable. */
function emailsOf({ members }: SandboxCohort): string[] {
  return Array.from({ length: members.count }, (_, index) => members.member(index).properties?.$email)
    .filter((email) => email !== undefined)
    .map(String)
    .sort();
}

function tellWhatNext(demo: {
  url: string;
  token: string;
  sandbox: Sandbox;
  trialId: string;
  runId: string;
}): void {
  const { url, token, sandbox, trialId, runId } = demo;
  const curl = (query: string, header = '') =>
    `  curl ${header === '' ? '' : `-N -H '${header}' `}${url}/graphql -H "authorization: Bearer $TOKEN" \\\n    -H 'content-type: application/json' -d '${JSON.stringify({ query })}'`;
  say(`
Everything stays up until you press Ctrl-C; then nothing is left behind.

  Service    ${url}
  GraphQL    ${url}/graphql   (GraphiQL in a browser)
  Sandbox    ${sandbox.controlUrl}/_control/calls   (what Iterable and Mixpanel were asked)

To paste into another terminal:

  export TOKEN=${token}

1. Whom the run added, and how many there are:

${curl(`{ syncRun(id: "${runId}") { counts { members added rejected } members(first: 3) { totalCount edges { node { email outcome } } } } }`)}

2. Watch every run (leave it open):

${curl('subscription { syncRunUpdated { export { listName } trigger status progress counts { members added removed unchanged } } }', 'accept: text/event-stream')}

3. Keep the cohort that changes each minute in step; here it runs every ${SYNC_INTERVAL.replace('m', ' minutes')}:

${curl(`mutation { startSync(input: { cohortId: "${trialId}", syncType: DYNAMIC }) { id status export { nextRunAt } } }`)}
`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function interrupt(): void {
  if (!stopping.signal.aborted) say('\nStopping …');
  void stop(0);
}

async function stop(exitCode: number): Promise<void> {
  if (stopping.signal.aborted) return;
  stopping.abort();
  await starting;
  for (const stopPart of stops.reverse()) await stopPart().catch((error) => say(String(error)));
  process.exit(exitCode);
}
