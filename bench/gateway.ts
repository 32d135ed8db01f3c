import { type Candidate, measureBoth, type Round } from './gateway/measure.ts';
import { compareAnswers, dashboard, latestRuns, type Operation, readCursors } from './gateway/operations.ts';
import { startPeer } from './gateway/peer.ts';
import { makeMixpanelCohorts, seedCohorts } from './gateway/seed.ts';
import { createApi } from './support/api.ts';
import { graphqlRequest, startLoadProcess } from './support/load-process.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, printResults, ratio, tell } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * Queries a second beside Mercurius with Fastify, its loaders and jit, on the same rows in the same run: the two take
 * turns, and the middle round counts. Their answers are compared before.
 */
const CONNECTIONS = 32;
const QUERIES_PER_HOUR = 60;
const MAX_MEMORY = 300_000_000;
const MAX_FIRST_BYTE_MS = 10;
const options = readOptions();
const rounds = options.rounds ?? 5;

// All is stopped, also when something fails: a server that lives on would be in the way of the next benchmark.
await using started = new AsyncDisposableStack();
const stopping = <Thing extends { stop(): Promise<void> }>(thing: Thing) =>
  started.adopt(thing, (one) => one.stop());

const partners = stopping(await startPartners({ members: 1_000 }));
const postgres = stopping(await startPostgres(options.databaseUrl));
const database = await postgres.createDatabase();
const service = stopping(
  await startService({
    databaseUrl: database.url,
    partners,
    // The cohort list takes one query of the hour, and is not read again while the cohorts of the benchmark stand in it.
    env: { MIXPANEL_QUERIES_PER_HOUR: String(QUERIES_PER_HOUR), COHORT_REFRESH_INTERVAL: '24h' },
  }),
);
await seedCohorts(database.client, { cohorts: 200, runsPerExport: 20, rejections: 20_000 });
const peer = stopping(
  await startPeer({
    databaseUrl: database.url,
    queriesPerHour: QUERIES_PER_HOUR,
    queriesForRuns: QUERIES_PER_HOUR - 1,
  }),
);
const load = stopping(startLoadProcess());
const peerApi = createApi(peer.url, service.token);

/** Both answer, and say the same; then each of them is measured with the same operation and with one that varies. */
async function compare(operation: Operation, title: string, goal: number): Promise<void> {
  const { query, pages } = operation;
  const candidates: [Candidate, Candidate] = [
    { ...service, cursors: await readCursors(service.api, operation) },
    { ...peer, cursors: await readCursors(peerApi, operation) },
  ];
  const variablesAt = (after: string | null) => ({ first: pages.first, after });
  // Several times, because Mercurius compiles an operation once it has seen it.
  for (const row of [-1, 0, candidates[0].cursors.length - 1]) {
    const [ours, theirs] = candidates.map(({ cursors }) => variablesAt(cursors[row] ?? null));
    compareAnswers(await service.api.query(query, ours), await peerApi.query(query, theirs));
  }
  const request = (after: string | null) =>
    graphqlRequest(service.token, { query, variables: variablesAt(after) });
  for (const [what, requestsOf] of [
    ['the same at every connection', () => [request(null)]],
    ['each request its own variables', ({ cursors }: Candidate) => cursors.map(request)],
  ] as const) {
    tell(`${title}, ${what}`);
    const { ours, theirs, times, cpuTimes } = await measureBoth(
      { load, postgres, rounds, connections: CONNECTIONS },
      candidates,
      requestsOf,
    );
    printResults(`${title}, ${what}: ours · Mercurius`, [
      {
        what: 'requests a second, ours in Mercurius’',
        measured: ratio(times),
        target: `≥ ${goal} ×`,
        isMet: times >= goal,
      },
      { what: '  for the same CPU, PostgreSQL’s included', measured: ratio(cpuTimes) },
      { what: '  requests a second', measured: both((one) => one.perSecond.toFixed(0)) },
      { what: '  CPU of the server for a request', measured: both((one) => `${one.cpuMs.toFixed(2)} ms`) },
      { what: '  of PostgreSQL', measured: both((one) => `${one.databaseCpuMs.toFixed(2)} ms`) },
      { what: '  of the callers', measured: both((one) => `${one.callerCpuMs.toFixed(3)} ms`) },
      { what: '  p50', measured: both((one) => `${one.p50.toFixed(1)} ms`) },
      { what: '  p99', measured: both((one) => `${one.p99.toFixed(1)} ms`) },
      { what: '  an answer', measured: both((one) => `${(one.bytes / 1000).toFixed(1)} kB`) },
      {
        what: 'one caller: first byte p50, ours',
        measured: `${ours.firstByteMs.toFixed(1)} ms`,
        target: `< ${MAX_FIRST_BYTE_MS} ms`,
        isMet: ours.firstByteMs < MAX_FIRST_BYTE_MS,
      },
      { what: '  Mercurius', measured: `${theirs.firstByteMs.toFixed(1)} ms` },
    ]);
    function both(show: (round: Round) => string): string {
      return `${show(ours)} · ${show(theirs)}`;
    }
  }
}

await compare(dashboard, 'Dashboard, cohorts of files', 1.2);
await compare(latestRuns, '50 exports with 5 runs each', 1);
await makeMixpanelCohorts(database.client);
await compare(dashboard, 'Dashboard, cohorts of Mixpanel', 1.2);

const memory = service.peakMemory();
printResults('Gateway', [
  {
    what: 'peak memory of the service',
    measured: megabytes(memory),
    target: `≤ ${megabytes(MAX_MEMORY)}`,
    isMet: memory <= MAX_MEMORY,
  },
  { what: '  of Mercurius', measured: megabytes(peer.peakMemory()) },
]);
