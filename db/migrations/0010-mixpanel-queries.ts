import { type Kysely, sql } from 'kysely';

/**
 * Queries to Mixpanel: in the order in which runs were queued, five at a time, over all processes. Frozen: later changes
 * are further migrations.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // The cohort list keeps its share of the hour beside the runs.
  `alter table mixpanel_queries add column kind text not null default 'MEMBERS' check (kind in ('COHORTS', 'MEMBERS'))`,

  // What all processes know of a Mixpanel project beside the queries they have sent.
  // held_until: Mixpanel itself says that its hour is used up.
  // slots_held_until: Mixpanel says that too many queries run at a time; by the database's clock.
  // next_scheduled_at: when more dynamic exports are asked for than fit, none of them is due before.
  `create table mixpanel_budgets (
    region text not null,
    mixpanel_project_id text not null,
    held_until timestamptz,
    slots_held_until timestamptz,
    next_scheduled_at timestamptz,
    primary key (region, mixpanel_project_id)
  )`,

  // Processes that query Mixpanel now, and how many of the five queries at a time are theirs; by the database's clock.
  // A row that is not renewed belongs to a process that is gone.
  `create table mixpanel_readers (
    region text not null,
    mixpanel_project_id text not null,
    reader_id uuid not null,
    slots integer not null check (slots between 0 and 5),
    expires_at timestamptz not null,
    primary key (region, mixpanel_project_id, reader_id)
  )`,

  // WANTED: the run stands in line for a query to Mixpanel, and has a job. PARKED: there was none, and it has no job
  // until its turn has come. TAKEN: it has had its query.
  `alter table sync_runs
    add column query_turn text not null default 'WANTED' check (query_turn in ('WANTED', 'PARKED', 'TAKEN'))`,
  `update sync_runs set query_turn = 'TAKEN' where status = 'RUNNING' and planned_at is not null`,
  `create index sync_runs_in_line on sync_runs (queued_at, id)
    where status in ('QUEUED', 'RUNNING') and query_turn <> 'TAKEN'`,
];
