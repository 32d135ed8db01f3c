import { readOptions } from './support/options.ts';
import { startPartners } from './support/partners-process.ts';
import { startPostgres } from './support/postgres.ts';
import { people, printResults } from './support/results.ts';
import { startService } from './support/service.ts';

/**
 * What PostgreSQL keeps at rest, vacuumed, after a first export, an unchanged run and one with one in a hundred changed.
 * list_members is state and ledger in one: its rows and the index that finds who is on the list are counted as state,
 * the two indexes that serve only the ledger of a run are shown apart.
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
await service.stop();
await partners.stop();

const { client } = database;
await client.query('vacuum (analyze) list_members, rejections, sync_batches');
const { rows } = await client.query(`
  select coalesce(pg_table_size('list_members'), 0)::float8 as rows,
    pg_relation_size('list_members_current')::float8 as current_index,
    (pg_relation_size('list_members_added') + pg_relation_size('list_members_removed'))::float8 as ledger_indexes,
    pg_total_relation_size('rejections')::float8 as rejections,
    pg_total_relation_size('sync_batches')::float8 as journal,
    (select count(*)::int from list_members where removed_at is null) as listed,
    (select count(*)::int from list_members) as stays`);
await postgres.stop();

const size = rows[0];
const each = (bytes: number) => `${(bytes / size.listed).toFixed(1)} bytes`;
const state = size.rows + size.current_index;
printResults(`Storage for each person on the list: ${people(size.listed)}, ${size.stays} stays`, [
  { what: 'rows of list_members (those who left included)', measured: each(size.rows) },
  { what: 'index of who is on the list', measured: each(size.current_index) },
  {
    what: 'state of the list: the two',
    measured: each(state),
    target: '≤ 200 bytes',
    isMet: state / size.listed <= TARGET,
  },
  { what: 'ledger: indexes by run', measured: each(size.ledger_indexes) },
  { what: 'ledger: rejections', measured: each(size.rejections) },
  { what: 'journal of batches, emptied', measured: each(size.journal) },
]);
