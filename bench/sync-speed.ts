import { runFloor } from './floor.ts';
import type { FinishedRun } from './support/api.ts';
import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { median, megabytes, people, printResults, ratio, seconds, tell } from './support/results.ts';
import { startService } from './support/service.ts';

/** One run of the service and the floor beside it. */
interface Measurement {
  seconds: number;
  floor: number;
  ratio: number;
  serviceCpu: number;
  postgresCpu: number;
  walBytes: number;
  requests: number;
}

/**
 * A whole cohort exported for the first time, again unchanged and again with one in a hundred changed; each run next to
 * its floor, so that both have the machine in the same mood. A round has a cohort of its own, in the same database.
 */
const options = readOptions();
const members = options.members ?? 1_000_000;
const rounds = options.rounds ?? 3;
const changed = Math.ceil(members / 100);

const partners = await startPartners({ members });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const floorDatabase = await postgres.createDatabase();
const service = await startService({ databaseUrl: database.url, partners });
const cohortIds = await service.api.cohortIds();

async function measure(cohortId: string, expected: Partial<FinishedRun['counts']>, posts: boolean) {
  // What is left over from before (people to be indexed, dead rows, dirty pages) is not this run's.
  await database.untilIndexed();
  await database.client.query('vacuum (analyze) sync_batches');
  await database.client.query('checkpoint');
  const floor = await runFloor({ partners, client: floorDatabase.client, posts });
  const before = [service.cpuSeconds(), postgres.cpuSeconds(), await database.walBytes()] as const;
  const run = await service.api.sync(cohortId);
  for (const [name, count] of Object.entries(expected)) {
    const counted = run.counts[name as keyof typeof expected];
    if (counted !== count) throw new Error(`${name} should be ${count} and is ${counted}.`);
  }
  const measurement: Measurement = {
    seconds: run.seconds,
    floor,
    ratio: run.seconds / floor,
    serviceCpu: service.cpuSeconds() - before[0],
    postgresCpu: postgres.cpuSeconds() - before[1],
    walBytes: (await database.walBytes()) - before[2],
    requests: run.counts.requestsSent,
  };
  tell(`${seconds(run.seconds)}, floor ${seconds(floor)}, ${ratio(measurement.ratio)}`);
  return measurement;
}

const first: Measurement[] = [];
const unchanged: Measurement[] = [];
const onePercent: Measurement[] = [];
for (let round = 0; round < rounds; round++) {
  const cohortId = cohortIds[round]!;
  tell(`round ${round + 1} of ${rounds}: first, unchanged, 1 % changed`);
  await partners.set({ members });
  first.push(await measure(cohortId, { members, added: members }, true));
  unchanged.push(await measure(cohortId, { members, unchanged: members, requestsSent: 0 }, false));
  await partners.set({ members, generation: 1 });
  onePercent.push(
    await measure(cohortId, { added: changed, removed: changed, unchanged: members - changed }, false),
  );
}
await service.stop();
await postgres.stop();
await partners.stop();

const of = (measurements: Measurement[], name: keyof Measurement) =>
  median(measurements.map((measurement) => measurement[name]));

function rows(what: string, measurements: Measurement[], target: number) {
  return [
    {
      what,
      measured: ratio(of(measurements, 'ratio')),
      target: `≤ ${target} × the floor`,
      isMet: of(measurements, 'ratio') <= target,
    },
    {
      what: '  service · floor',
      measured: `${seconds(of(measurements, 'seconds'))} · ${seconds(of(measurements, 'floor'))}`,
    },
    {
      what: '  CPU of service · PostgreSQL',
      measured: `${seconds(of(measurements, 'serviceCpu'))} · ${seconds(of(measurements, 'postgresCpu'))}`,
    },
    { what: '  WAL written', measured: megabytes(of(measurements, 'walBytes')) },
  ];
}

printResults(`Speed of a run: ${people(members)}, no pacing, median of ${rounds}`, [
  ...rows('first export', first, 2.5),
  ...rows('again, nothing changed', unchanged, 1.5),
  {
    what: '  requests sent to Iterable',
    measured: String(of(unchanged, 'requests')),
    target: '0',
    isMet: of(unchanged, 'requests') === 0,
  },
  ...rows('again, 1 % changed', onePercent, 2),
]);
