import { setTimeout as sleep } from 'node:timers/promises';
import { createTokens } from './support/api.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, printResults, type Result, seconds, tell } from './support/results.ts';
import { startService } from './support/service.ts';
import { startWatchers } from './support/watchers-process.ts';
import { judge, type WatchFigures } from './watchers/judge.ts';

/**
 * Watchers of one paced run over WebSocket: a thousand, the same beside one who subscribes to a lot and reads none of it,
 * and ten thousand. The delay is from the moment when the row was changed, noted by a trigger of the benchmark's own, to
 * the arrival at each watcher. The run is cancelled once everybody has watched for a while, and all must hear of its end.
 */
const MAX_DELAY_MS = 250;
const MAX_MEMORY = 300_000_000;
const WATCH_MS = 20_000;
const PATIENCE_MS = 30_000;
/** More than one process of them can read in time. */
const WATCHERS_PER_PROCESS = 5_000;
/** A token has a bound of sockets. */
const TOKENS = 12;
const options = readOptions();

await using started = new AsyncDisposableStack();
const stopping = <Thing extends { stop(): Promise<void> }>(thing: Thing) =>
  started.adopt(thing, (one) => one.stop());

// More people than there is time for: the run lasts while ten thousand connect, and then watch.
const partners = stopping(await startPartners({ members: options.members ?? 200_000 }));
const postgres = stopping(await startPostgres(options.databaseUrl));

/** Each round has a service of its own, so that none inherits another's memory. */
async function watchRun(watchers: number, stalled: number): Promise<WatchFigures> {
  const database = await postgres.createDatabase();
  await using stack = new AsyncDisposableStack();
  const service = stack.adopt(
    await startService({
      databaseUrl: database.url,
      partners,
      env: { ITERABLE_REQUESTS_PER_SECOND: '5', ITERABLE_BATCH_SIZE: '100' },
    }),
    (one) => one.stop(),
  );
  await database.client.query(`
    create table bench_changes (revision integer, at double precision);
    create function bench_note() returns trigger language plpgsql as $$
      begin
        insert into bench_changes values (new.revision, extract(epoch from clock_timestamp()) * 1000);
        return null;
      end $$;
    create trigger bench_note after update on sync_runs for each row execute function bench_note()`);
  const tokens = await createTokens(service.api, TOKENS);
  const [cohortId] = await service.api.cohortIds();
  const runId = await service.api.startSync(cohortId!);
  const begunAt = Date.now();
  const processes = Math.ceil(watchers / WATCHERS_PER_PROCESS);
  const groups = await Promise.all(
    Array.from({ length: processes }, async (_, index) =>
      stack.adopt(
        await startWatchers({
          url: service.url,
          tokens,
          runId,
          watchers: Math.ceil(watchers / processes),
          stalled: index === 0 ? stalled : 0,
        }),
        (group) => group.stop(),
      ),
    ),
  );
  const connectedAt = Math.max(...groups.map((group) => group.connectedAt));
  const cpuBefore = service.cpuSeconds();
  await sleep(WATCH_MS);
  const cores = (service.cpuSeconds() - cpuBefore) / ((Date.now() - connectedAt) / 1000);
  await Promise.race([
    service.api.query('mutation ($id: ID!) { cancelSyncRun(runId: $id) { id } }', { id: runId }),
    sleep(PATIENCE_MS),
  ]);
  const watched = await Promise.all(groups.map((group) => group.report()));
  const changes = await database.client.query('select revision, at from bench_changes order by revision');
  return {
    ...judge(watched, changes.rows, connectedAt),
    connectSeconds: (connectedAt - begunAt) / 1000,
    cores,
    peakMemory: service.peakMemory(),
  };
}

function rows(what: string, figures: WatchFigures): Result[] {
  return [
    {
      what: `${what}: delay p95`,
      measured: `${figures.p95.toFixed(0)} ms`,
      target: `≤ ${MAX_DELAY_MS} ms`,
      isMet: figures.p95 <= MAX_DELAY_MS,
    },
    { what: '  p50 · longest', measured: `${figures.p50.toFixed(0)} · ${figures.max.toFixed(0)} ms` },
    {
      what: '  have the last snapshot',
      measured: `${figures.haveLast} of ${figures.watchers}`,
      target: 'all',
      isMet: figures.haveLast === figures.watchers,
    },
    {
      what: `  snapshots kept, of ${figures.changes}`,
      measured: `${(figures.kept * 100).toFixed(1)} %`,
    },
    {
      what: `  connected, ${figures.connected} of ${figures.watchers}, after`,
      measured: seconds(figures.connectSeconds),
    },
    { what: '  delay p95 of those who wait meanwhile', measured: `${figures.p95Connecting.toFixed(0)} ms` },
    ...(figures.lost > 0
      ? [{ what: '  lost', measured: `${figures.lost}: ${figures.firstLoss?.slice(0, 120)}` }]
      : []),
    { what: '  cores of the service, the run included', measured: figures.cores.toFixed(2) },
    { what: '  cores of the watchers', measured: figures.watcherCores.toFixed(2) },
    {
      what: '  peak memory of the service',
      measured: megabytes(figures.peakMemory),
      target: `≤ ${megabytes(MAX_MEMORY)}`,
      isMet: figures.peakMemory <= MAX_MEMORY,
    },
  ];
}

const rounds =
  options.watchers === undefined
    ? ([
        [1_000, 0, 'everybody reads'],
        [1_000, 1, 'beside one that does not'],
        [10_000, 0, 'everybody reads'],
      ] as const)
    : ([[options.watchers, 0, 'everybody reads']] as const);
for (const [watchers, stalled, what] of rounds) {
  tell(`${watchers} watchers, ${what}`);
  const figures = await watchRun(watchers, stalled);
  printResults(`Live: ${watchers} watchers of one run`, rows(what, figures));
}
