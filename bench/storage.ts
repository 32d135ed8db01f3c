import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { people, printResults } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * What PostgreSQL keeps at rest, vacuumed, after a first export, an unchanged run and one with one in a hundred changed.
 * sync_batches is state and ledger in one: a block by which anybody is on the list is counted as state, whole; blocks
 * that are only of a ledger (removals) are shown apart.
 */
const TARGET = 200;
const options = readOptions();
const members = options.members ?? 1_000_000;

const partners = await startPartners({ members });
const postgres = await startPostgres(options.databaseUrl);
const database = await postgres.createDatabase();
const service = await startService({ databaseUrl: database.url, partners });
const [cohortId] = await service.api.cohortIds();
await service.api.sync(cohortId!);
await service.api.sync(cohortId!);
await partners.set({ members, generation: 1 });
await service.api.sync(cohortId!);
await database.untilIndexed();
await service.stop();
await partners.stop();

const { client } = database;
await client.query('vacuum (analyze) sync_batches, rejections, people_segments');
const { rows } = await client.query(`
  select pg_total_relation_size('sync_batches')::float8 as blocks,
    pg_total_relation_size('rejections')::float8 as rejections,
    pg_total_relation_size('people_segments')::float8 as segments,
    sum(live_count)::int as listed, count(*)::int as count,
    sum(octet_length(people) + octet_length(keys) + octet_length(fingerprints) + octet_length(coalesce(places, '')))
      filter (where live_count = 0)::float8 as ledger
  from sync_batches`);
await postgres.stop();

const size = rows[0];
const each = (bytes: number) => `${(bytes / size.listed).toFixed(1)} bytes`;
const state = size.blocks - size.ledger + size.segments;
printResults(`Storage for each person on the list: ${people(size.listed)} in ${size.count} blocks`, [
  {
    what: 'state of the list, with its indexes',
    measured: each(state),
    target: '≤ 200 bytes',
    isMet: state / size.listed <= TARGET,
  },
  { what: '  of it: the index of people', measured: each(size.segments) },
  { what: 'ledger: removals', measured: each(size.ledger) },
  { what: 'ledger: rejections', measured: each(size.rejections) },
]);
