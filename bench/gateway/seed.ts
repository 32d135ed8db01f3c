import type pg from 'pg';

export interface SeedSize {
  /** Each with one export. */
  cohorts: number;
  runsPerExport: number;
  /** Over all exports. */
  rejections: number;
}

/** More than an hour's queries of Mixpanel are apart, so that each export is due when it would like to be. */
const APART_SECONDS = 65;

/**
 * Rows as a project has them after some hours of syncing files, written past the service, which would take an hour for
 * them. The first project, connected to Iterable, is theirs.
 */
export async function seedCohorts(client: pg.Client, size: SeedSize): Promise<void> {
  // Those of the Mixpanel that is played would stand in the same pages.
  await client.query('delete from cohorts');
  await client.query(
    `insert into cohorts (project_id, source, external_id, name, description, member_count, refreshed_at)
     select integration.project_id, 'FILE', 'bench-' || n, 'Bench cohort ' || lpad(n::text, 5, '0'),
       'People of benchmark number ' || n, 1000 + n, now()
     from integrations integration, generate_series(1, $1::int) n`,
    [size.cohorts],
  );
  await client.query(
    `insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, list_id, list_size,
       created_at)
     select cohort.project_id, cohort.id, integration.id, 'DYNAMIC', 'ACTIVE',
       'mixpanel_' || cohort.name || '_' || cohort.external_id, 100000 + cohort.id, member_count, now() - interval '1 day'
     from cohorts cohort join integrations integration using (project_id)
     where external_id like 'bench-%' order by cohort.id`,
  );
  await client.query(
    `insert into sync_runs (project_id, export_id, trigger, status, phase, progress, members, added, unchanged, removed,
       queued_at, started_at, planned_at, finished_at, query_turn)
     select project_id, export.id, 'SCHEDULED', 'SUCCEEDED', 'DONE', 1, list_size, n, list_size - n, n % 7,
       at, at + interval '1 second', at + interval '2 seconds', at + interval '5 seconds', 'TAKEN'
     from generate_series(1, $1::int) n, exports export, lateral (select now() - ($1::int - n) * interval '15 minutes'
       - interval '1 minute' as at) times
     order by n, export.id`,
    [size.runsPerExport],
  );
  await seedRejections(client, size);
  for (const table of ['cohorts', 'exports', 'sync_runs', 'rejections']) {
    await client.query(`vacuum analyze ${table}`);
  }
}

/** Half of them hold for all runs, half for two in a row; of four reasons, the first the most common. */
async function seedRejections(client: pg.Client, { rejections, cohorts, runsPerExport }: SeedSize) {
  await client.query(
    `insert into rejections (export_id, since_run_id, until_run_id, rejected_at, fingerprint, key, distinct_id, email,
       reason)
     select export_id, run_ids[1 + since], case when n % 2 = 1 then run_ids[3 + since] end,
       now() - interval '1 day', n, md5(export_id || '.' || n)::uuid, 'person-' || n, 'person-' || n || '@bench.test',
       (array['MISSING_EMAIL', 'MISSING_EMAIL', 'INVALID_EMAIL', 'MISSING_EMAIL', 'DUPLICATE_IDENTITY',
         'INVALID_EMAIL', 'ITERABLE_FORGOTTEN'])[1 + n % 7]
     from (select export_id, array_agg(id order by id) as run_ids from sync_runs group by export_id) runs,
       generate_series(1, $1::int) n, lateral (select case when n % 2 = 0 then 0 else n % $2::int end as since) begun
     order by export_id, n`,
    [Math.floor(rejections / cohorts), runsPerExport],
  );
  await client.query(
    `update sync_runs run set rejected = held.count, members = members + held.count from (
       select run.id, count(*)::int as count from sync_runs run join rejections rejection
         on rejection.export_id = run.export_id and since_run_id <= run.id
           and (until_run_id is null or until_run_id > run.id)
       group by run.id) held
     where held.id = run.id`,
  );
}

/** The same cohorts, but read from Mixpanel, more of them than its quota allows: their exports take turns. */
export async function makeMixpanelCohorts(client: pg.Client): Promise<void> {
  await client.query(
    `update cohorts set source = 'MIXPANEL', source_project_id = connected.mixpanel_project_id
     from mixpanel_connections connected
     where connected.project_id = cohorts.project_id and external_id like 'bench-%'`,
  );
  await client.query(
    `update exports set next_run_at =
       date_trunc('second', now()) + interval '1 hour' + $1 * id * interval '1 second'`,
    [APART_SECONDS],
  );
  await client.query('vacuum analyze cohorts');
  await client.query('vacuum analyze exports');
}
