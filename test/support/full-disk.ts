import pg from 'pg';

/** Where little is written, and into pages that have room: these may go on for a while when the others cannot. */
const SMALL_TABLES = [
  'public.projects',
  'public.api_tokens',
  'public.mixpanel_connections',
  'public.mixpanel_queries',
  'public.mixpanel_budgets',
  'public.mixpanel_readers',
  'public.integrations',
  'public.cohorts',
  'public.exports',
  'public.sync_runs',
  'public.pacers',
  'public.pacer_lines',
];

export interface FullDisk extends AsyncDisposable {
  makeRoom(): Promise<void>;
}

/**
 * From now on the database refuses to write more, with the error that PostgreSQL has for a full disk: into the ledger,
 * the journal and whatever else grows with the people, or into every table, those of the job queue too.
 */
export async function fillDisk(databaseUrl: string, what: 'the ledger' | 'everything'): Promise<FullDisk> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  await client.query(`
    create function refuse_for_want_of_room() returns trigger language plpgsql as $$ begin
      raise exception 'could not extend file "base/1/1": No space left on device'
        using errcode = 'disk_full', hint = 'Check free disk space.';
    end $$`);
  const { rows } = await client.query<{ name: string }>(`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname in ('public', 'pgboss') order by 1`);
  const tables = rows
    .map((row) => row.name)
    .filter((name) => what === 'everything' || (name.startsWith('public.') && !SMALL_TABLES.includes(name)));
  for (const table of tables) {
    await client.query(`create trigger refuse_for_want_of_room before insert or update on ${table}
      for each statement execute function refuse_for_want_of_room()`);
  }
  let isFull = true;
  const disk: FullDisk = {
    async makeRoom() {
      if (!isFull) return;
      isFull = false;
      await client.query('drop function refuse_for_want_of_room cascade');
      await client.end();
    },
    [Symbol.asyncDispose]: () => disk.makeRoom(),
  };
  return disk;
}
