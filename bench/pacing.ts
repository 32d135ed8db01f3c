import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { people, printResults } from './support/results.ts';
import { startService } from './support/service.ts';

/** How much of the agreed pace an export uses, against an Iterable that refuses whatever comes faster. */
const REQUESTS_PER_SECOND = 5;
const BATCH_SIZE = 100;
const options = readOptions();
const members = options.members ?? 20_000;

const partners = await startPartners({ members });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
// Small batches: the pace is what is measured, not what a batch holds.
const service = await startService({
  databaseUrl: database.url,
  partners,
  env: {
    ITERABLE_REQUESTS_PER_SECOND: String(REQUESTS_PER_SECOND),
    ITERABLE_CONCURRENCY: '2',
    ITERABLE_BATCH_SIZE: String(BATCH_SIZE),
  },
});
const [cohortId] = await service.api.cohortIds();
await partners.set({ members, writesPerSecond: REQUESTS_PER_SECOND });
await service.api.sync(cohortId!);
const { writes, refused } = await partners.stats();
await service.stop();
await postgres.stop();
await partners.stop();

// From the first to the last there is one interval less than there are requests.
const seconds = (Math.max(...writes) - Math.min(...writes)) / 1000;
const share = (writes.length - 1) / seconds / REQUESTS_PER_SECOND;
printResults(`Pace: ${people(members)}, batches of ${BATCH_SIZE}, ${REQUESTS_PER_SECOND} requests a second`, [
  { what: 'requests', measured: `${writes.length} in ${seconds.toFixed(1)} s` },
  {
    what: 'share of the pace used',
    measured: `${(share * 100).toFixed(1)} %`,
    target: '≥ 98 %',
    isMet: share >= 0.98,
  },
  { what: 'answered 429', measured: String(refused), target: '0', isMet: refused === 0 },
]);
