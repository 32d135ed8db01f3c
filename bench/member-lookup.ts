import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Api } from './support/api.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import {
  megabytes,
  people,
  percentile,
  printResults,
  type Result,
  seconds,
  tell,
} from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * One person's story among ten million ledger rows, over HTTP. The rows are written by this program, as ten exports of
 * ten runs would have left them: four in ten people were added and removed again, others are on the list. Everybody is
 * on half of the exports' lists or ledgers.
 */
const TARGET_MS = 50;
const EXPORTS = 10;
const RUNS = 10;
const PEOPLE_PER_BLOCK = 1_000;
const LOOKUPS = 300;
const REJECTED = 200_000;
const options = readOptions();
const rows = options.members ?? 10_000_000;
const peoplePerRun = Math.ceil(rows / EXPORTS / RUNS / PEOPLE_PER_BLOCK) * PEOPLE_PER_BLOCK;
/** Runs of one export have six different groups of people. */
const GROUPS = 6;
const population = 2 * GROUPS * peoplePerRun;

const identify = (number: number) => ({
  distinctId: `${(Math.imul(number, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0')}-7c1f-4a52-9d3e-${String(number).padStart(12, '0')}`,
  email: `person${number}@mail.sample.com`,
  userId: `user-${number}`,
});

/** Whom the batches of a run hold, in an order that is none, like that of their keys. */
function memberOf(exportIndex: number, run: number, index: number): number {
  const group = run < 8 ? run >> 1 : run - 4;
  const within = (index * 7_919) % peoplePerRun;
  return (exportIndex * Math.floor(population / EXPORTS) + group * peoplePerRun + within) % population;
}

interface RunIds {
  id: string;
  exportId: number;
}

async function copyRuns(client: pg.Client, runs: RunIds[]): Promise<void> {
  const copy = client.query(
    copyFrom(`copy sync_batches (export_id, run_id, number, kind, state, size, added, removed, live_count,
      settled_at, live, keys, fingerprints, people) from stdin`),
  );
  const done = finished(copy);
  const live = `\\\\x${'ff'.repeat(PEOPLE_PER_BLOCK / 8)}`;
  const keys = `\\\\x${'5a'.repeat(16 * PEOPLE_PER_BLOCK)}`;
  const fingerprints = `\\\\x${'00'.repeat(8 * PEOPLE_PER_BLOCK)}`;
  for (const [index, { id, exportId }] of runs.entries()) {
    const run = index % RUNS;
    const isAdded = run >= 8 || run % 2 === 0;
    const isListed = run >= 8;
    const at = new Date(Date.UTC(2030, 0, 1, run)).toISOString();
    for (let from = 0; from < peoplePerRun; from += PEOPLE_PER_BLOCK) {
      const text = Array.from({ length: PEOPLE_PER_BLOCK }, (_, place) => {
        const { distinctId, email, userId } = identify(memberOf(Math.floor(index / RUNS), run, from + place));
        return `["${distinctId}","${email}","${userId}"]`;
      }).join(',');
      const counts = isAdded ? [PEOPLE_PER_BLOCK, 0] : [0, PEOPLE_PER_BLOCK];
      const row = [
        ...[exportId, id, 1_000 + from, isAdded ? 'ADD' : 'REMOVE', 'SETTLED', PEOPLE_PER_BLOCK],
        ...[...counts, isListed ? PEOPLE_PER_BLOCK : 0, at, isListed ? live : '\\N'],
        ...[keys, fingerprints, `[${text}]`],
      ];
      if (!copy.write(`${row.join('\t')}\n`)) await once(copy, 'drain');
    }
  }
  copy.end();
  await done;
}

const QUERY = `query ($email: String, $userId: String, $distinctId: String) {
  member(email: $email, userId: $userId, distinctId: $distinctId) {
    email userId distinctIds lists { listName }
    history { totalCount edges { node { at outcome reason detail run { id } export { listName } } } }
  }
}`;

/** Whom to ask for, by a number of the population. */
type KeyOf = (number: number) => Record<string, string>;

const KEYS: Record<string, KeyOf> = {
  'by e-mail': (number) => ({ email: identify(number).email }),
  'by userId': (number) => ({ userId: identify(number).userId }),
  'by distinctId': (number) => ({ distinctId: identify(number).distinctId }),
  'somebody rejected': (number) => ({ distinctId: `rejected-${1 + (number % REJECTED)}` }),
};

/** How long each of some look-ups takes, in milliseconds. */
async function timeLookups(api: Api, keyOf: KeyOf, count: number): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index++) {
    const key = keyOf(Math.floor(((index * 0.618034) % 1) * population));
    const begun = performance.now();
    const { member } = await api.query(QUERY, key);
    times.push(performance.now() - begun);
    if (member === null) throw new Error(`Nobody was found by ${JSON.stringify(key)}.`);
  }
  return times;
}

/** The same of a query that looks nobody up. */
async function timeFloor(api: Api): Promise<number[]> {
  const times: number[] = [];
  for (let index = 0; index < LOOKUPS; index++) {
    const begun = performance.now();
    await api.query('{ viewer { role } }');
    times.push(performance.now() - begun);
  }
  return times;
}

function describe(times: number[]): string {
  const [p50, p95, max] = [50, 95, 100].map((share) => percentile(times, share).toFixed(1));
  return `p50 ${p50}, p95 ${p95}, max ${max} ms`;
}

const partners = await startPartners({ members: PEOPLE_PER_BLOCK });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const { client } = database;
const service = await startService({ databaseUrl: database.url, partners });

tell('exporting small cohorts, whose runs are given their rows next');
const cohortIds = await service.api.cohortIds();
for (const cohortId of cohortIds.slice(0, EXPORTS)) {
  for (let run = 0; run < RUNS; run++) await service.api.sync(cohortId);
}
const runs: RunIds[] = (
  await client.query('select id, export_id as "exportId" from sync_runs order by export_id, id')
).rows;

tell(`copying ${people(rows)}`);
await copyRuns(client, runs);
await client.query(
  `insert into rejections (export_id, since_run_id, rejected_at, fingerprint, key, distinct_id, reason)
    select $1, $2, '2030-01-01', 0, md5(number::text)::uuid, 'rejected-' || number, 'MISSING_EMAIL'
    from generate_series(1, $3::int) as number`,
  [runs[0]!.exportId, runs[0]!.id, REJECTED],
);

tell('indexing');
// What copying has left behind is not the index's.
await client.query('vacuum (analyze) sync_batches, rejections');
await client.query('checkpoint');
const begun = performance.now();
const before = [service.cpuSeconds(), postgres.cpuSeconds(), await database.walBytes()] as const;
const { rows: waiting } = await client.query(
  'select sum(size)::float8 / 1000000 as millions from sync_batches where not is_indexed',
);
await database.untilIndexed();
const { millions } = waiting[0];
const indexing = {
  seconds: (performance.now() - begun) / 1000 / millions,
  serviceCpu: (service.cpuSeconds() - before[0]) / millions,
  postgresCpu: (postgres.cpuSeconds() - before[1]) / millions,
  walBytes: ((await database.walBytes()) - before[2]) / millions,
};
await client.query('vacuum (analyze)');
const { rows: sizes } = await client.query(`select count(*)::int as segments,
  pg_total_relation_size('people_segments')::float8 as index, pg_total_relation_size('sync_batches')::float8 as blocks
  from people_segments`);

tell('looking up');
for (const keyOf of Object.values(KEYS)) await timeLookups(service.api, keyOf, 20);
const floor = await timeFloor(service.api);
const cpuBefore = [service.cpuSeconds(), postgres.cpuSeconds()] as const;
const results: Result[] = [];
for (const [what, keyOf] of Object.entries(KEYS)) {
  const times = await timeLookups(service.api, keyOf, LOOKUPS);
  const isMet = percentile(times, 95) <= TARGET_MS;
  results.push({ what, measured: describe(times), target: `p95 ≤ ${TARGET_MS} ms`, isMet });
}
const lookups = LOOKUPS * results.length;
const serviceMs = (1000 * (service.cpuSeconds() - cpuBefore[0])) / lookups;
const postgresMs = (1000 * (postgres.cpuSeconds() - cpuBefore[1])) / lookups;
await service.stop();
await partners.stop();
await postgres.stop();

const { index, blocks, segments } = sizes[0];
printResults(`One person's story among ${people(rows)} of ledgers, over HTTP`, [
  ...results,
  { what: 'a query that looks nobody up', measured: describe(floor) },
  {
    what: 'CPU of a look-up, service · PostgreSQL',
    measured: `${serviceMs.toFixed(1)} · ${postgresMs.toFixed(1)} ms`,
  },
  { what: 'index, for each row', measured: `${(index / rows).toFixed(1)} bytes in ${segments} segments` },
  { what: 'blocks, for each row', measured: `${(blocks / rows).toFixed(1)} bytes` },
  { what: 'indexing a million rows, in the background', measured: seconds(indexing.seconds) },
  {
    what: 'CPU of service · PostgreSQL',
    measured: `${seconds(indexing.serviceCpu)} · ${seconds(indexing.postgresCpu)}`,
  },
  { what: 'WAL written', measured: megabytes(indexing.walBytes) },
]);
