import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { megabytes, people, printResults, tell } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * The most memory that the service's process ever had, after it has exported a cohort for the first time, unchanged and
 * with one in a hundred changed. Each size has a service and a database of its own.
 */
const options = readOptions();
const large = options.members ?? 1_000_000;
const small = large / 10;
const MAX_BYTES = 300_000_000;
const MAX_DIFFERENCE = 80_000_000;

const postgres = await startPostgres(options.databaseUrl);

async function measure(members: number) {
  const partners = await startPartners({ members });
  const database = await postgres.createDatabase();
  const service = await startService({ databaseUrl: database.url, partners });
  const atRest = service.peakMemory();
  const [cohortId] = await service.api.cohortIds();
  await service.api.sync(cohortId!);
  const first = service.peakMemory();
  await service.api.sync(cohortId!);
  await partners.set({ members, generation: 1 });
  await service.api.sync(cohortId!);
  const all = service.peakMemory();
  tell(`${people(members)}: ${megabytes(all)}`);
  await service.stop();
  await partners.stop();
  return { atRest, first, all };
}

const ofSmall = await measure(small);
const ofLarge = await measure(large);
await postgres.stop();

const difference = ofLarge.all - ofSmall.all;
printResults('Peak memory of the service (VmHWM)', [
  { what: 'started, nothing done', measured: megabytes(ofLarge.atRest) },
  { what: `${people(small)}, first export`, measured: megabytes(ofSmall.first) },
  { what: `${people(large)}, first export`, measured: megabytes(ofLarge.first) },
  { what: `${people(small)}, three runs`, measured: megabytes(ofSmall.all) },
  {
    what: `${people(large)}, three runs`,
    measured: megabytes(ofLarge.all),
    target: '≤ 300 MB',
    isMet: ofLarge.all <= MAX_BYTES,
  },
  {
    what: 'apart',
    measured: megabytes(difference),
    target: '≤ 80 MB',
    isMet: difference <= MAX_DIFFERENCE,
  },
]);
