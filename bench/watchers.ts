import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { percentile, printResults, tell } from './support/results.ts';
import { startService } from './support/service.ts';
import { type Arrival, startWatchers } from './support/watchers-process.ts';

/**
 * A thousand WebSocket watchers of one paced run, and one that subscribes to a lot and reads none of it. The delay is from
 * the moment when the row was changed, noted by a trigger of the benchmark's own, to the arrival at each watcher.
 */
const WATCHERS = 1_000;
const MAX_DELAY_MS = 250;
const options = readOptions();
const members = options.members ?? 20_000;

const partners = await startPartners({ members });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const service = await startService({
  databaseUrl: database.url,
  partners,
  // Small batches, so that a run of few people lasts while a thousand connect and then watch.
  env: { ITERABLE_REQUESTS_PER_SECOND: '5', ITERABLE_BATCH_SIZE: '100' },
});
await database.client.query(`
  create table bench_changes (revision integer, at double precision);
  create function bench_note() returns trigger language plpgsql as $$
    begin
      insert into bench_changes values (new.revision, extract(epoch from clock_timestamp()) * 1000);
      return null;
    end $$;
  create trigger bench_note after update on sync_runs for each row execute function bench_note()`);

async function watchRun(cohortId: string, stalled: number): Promise<Figures> {
  await database.client.query('truncate bench_changes');
  const runId = await service.api.startSync(cohortId);
  const watchers = await startWatchers({
    url: service.url,
    token: service.token,
    runId,
    watchers: WATCHERS,
    stalled,
  });
  const cpuBefore = service.cpuSeconds();
  const begunAt = await watchers.connectedAt;
  const run = await service.api.untilOver(runId);
  const cpu = (service.cpuSeconds() - cpuBefore) / ((Date.now() - begunAt) / 1000);
  if (run.status !== 'SUCCEEDED') throw new Error(`The run ended as ${run.status}.`);
  const arrivals = await watchers.arrivals();
  const changes = await database.client.query('select revision, at from bench_changes order by revision');
  return judge(arrivals, changes.rows, begunAt, cpu);
}

interface Figures {
  changes: number;
  kept: number;
  p50: number;
  p95: number;
  max: number;
  cpu: number;
}

/** Changes from the moment when everybody watched. A change is kept at a watcher when its very revision arrived. */
function judge(
  arrivals: Arrival[],
  changes: { revision: number; at: number }[],
  begunAt: number,
  cpu: number,
): Figures {
  const changedAt = new Map(
    changes.filter(({ at }) => at > begunAt).map(({ revision, at }) => [revision, at]),
  );
  const delays: number[] = [];
  for (const { revision, at } of arrivals) {
    const from = changedAt.get(revision);
    if (from !== undefined) delays.push(at - from);
  }
  return {
    changes: changedAt.size,
    kept: delays.length / (changedAt.size * WATCHERS),
    p50: percentile(delays, 50),
    p95: percentile(delays, 95),
    max: percentile(delays, 100),
    cpu,
  };
}

const [first, second] = await service.api.cohortIds();
tell('everybody reads');
const alone = await watchRun(first!, 0);
tell('one does not read');
const beside = await watchRun(second!, 1);
await service.stop();
await postgres.stop();
await partners.stop();

const rows = (what: string, figures: Figures) => [
  {
    what: `${what}: delay p95`,
    measured: `${figures.p95.toFixed(0)} ms`,
    target: `≤ ${MAX_DELAY_MS} ms`,
    isMet: figures.p95 <= MAX_DELAY_MS,
  },
  { what: '  p50 · longest', measured: `${figures.p50.toFixed(0)} · ${figures.max.toFixed(0)} ms` },
  {
    what: `  snapshots kept, of ${figures.changes}`,
    measured: `${(figures.kept * 100).toFixed(1)} %`,
    target: '100 %',
    isMet: figures.kept >= 0.9995,
  },
  { what: '  cores of the service, the run included', measured: figures.cpu.toFixed(2) },
];
printResults(`Live: ${WATCHERS} watchers of one run`, [
  ...rows('everybody reads', alone),
  ...rows('beside one that does not', beside),
]);
