import { type Kysely, sql } from 'kysely';

/** Everything the main job needs. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  `create table projects (
    id bigint generated always as identity primary key,
    name text not null check (length(name) between 1 and 200),
    is_first boolean not null default false,
    created_at timestamptz not null
  )`,
  `create unique index projects_one_first on projects (is_first) where is_first`,

  `create table api_tokens (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    name text not null check (length(name) between 1 and 200),
    role text not null check (role in ('OWNER', 'ADMIN', 'ANALYST', 'CONSUMER')),
    secret_hash bytea not null unique check (length(secret_hash) = 32),
    created_at timestamptz not null,
    last_used_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz
  )`,
  `create index api_tokens_by_project on api_tokens (project_id, id)`,

  `create table mixpanel_connections (
    id bigint generated always as identity primary key,
    project_id bigint not null unique references projects (id),
    region text not null check (region in ('US', 'EU', 'IN')),
    mixpanel_project_id text not null,
    id_merge text not null check (id_merge in ('ORIGINAL', 'SIMPLIFIED')),
    service_account_username text not null,
    service_account_secret text not null,
    status text not null check (status in ('CONNECTED', 'NEEDS_ATTENTION')),
    attention text check ((attention is not null) = (status = 'NEEDS_ATTENTION')),
    connected_at timestamptz not null,
    cohorts_refreshed_at timestamptz,
    next_refresh_at timestamptz not null
  )`,

  // One counted query against Mixpanel's Query API; the budget is a count over the last hour.
  // Kept by Mixpanel project, so that two connections to one project share what Mixpanel shares.
  `create table mixpanel_queries (
    id bigint generated always as identity primary key,
    region text not null,
    mixpanel_project_id text not null,
    at timestamptz not null
  )`,
  `create index mixpanel_queries_by_project on mixpanel_queries (region, mixpanel_project_id, at)`,

  `create table integrations (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    provider text not null check (provider in ('ITERABLE')),
    status text not null default 'DISCONNECTED' check (status in ('CONNECTED', 'DISCONNECTED', 'NEEDS_ATTENTION')),
    attention text check ((attention is not null) = (status = 'NEEDS_ATTENTION')),
    data_center text check (data_center in ('US', 'EU')),
    project_type text check (project_type in ('EMAIL', 'USER_ID', 'HYBRID')),
    user_id_fallback text check (user_id_fallback in ('NONE', 'DISTINCT_ID')),
    guard_max_share double precision check (guard_max_share between 0 and 1),
    guard_min_removals integer check (guard_min_removals >= 0),
    api_key text,
    api_key_hint text,
    connected_at timestamptz,
    connected_by text,
    revision integer not null default 0,
    unique (project_id, provider),
    check ((api_key is null) = (status = 'DISCONNECTED')),
    check (status = 'DISCONNECTED' or (data_center is not null and project_type is not null
      and user_id_fallback is not null and connected_at is not null))
  )`,

  `create table cohorts (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    source text not null check (source in ('MIXPANEL', 'MIXPANEL_WEBHOOK', 'FILE')),
    source_project_id text not null default '',
    external_id text not null,
    name text not null,
    description text,
    member_count integer check (member_count >= 0),
    exportable boolean not null default true,
    present boolean not null default true,
    refreshed_at timestamptz not null,
    import_id bigint,
    unique (project_id, source, source_project_id, external_id)
  )`,
  `create unique index cohorts_one_file_per_name on cohorts (project_id, name) where source = 'FILE'`,
  // C collation: the order of pages is the same on every server, whatever its locale.
  `create index cohorts_by_name on cohorts (project_id, (name collate "C"), id)`,

  // The rows of uploaded files. A cohort shows the rows of its import_id only, so an upload that
  // breaks off is never seen.
  `create table cohort_imports (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    started_at timestamptz not null
  )`,
  `create table cohort_file_members (
    import_id bigint not null,
    position integer not null,
    distinct_id text not null,
    email text,
    user_id text,
    primary key (import_id, position)
  )`,

  `create table exports (
    id integer generated always as identity primary key,
    project_id bigint not null references projects (id),
    cohort_id bigint not null references cohorts (id),
    integration_id bigint not null references integrations (id),
    sync_type text not null check (sync_type in ('ONE_TIME', 'DYNAMIC')),
    status text not null check (status in ('ACTIVE', 'PAUSED', 'COMPLETED', 'STOPPED')),
    list_name text not null check (length(list_name) > 0),
    list_id bigint,
    list_created_at timestamptz,
    list_size integer not null default 0 check (list_size >= 0),
    drift_checked_at timestamptz,
    next_run_at timestamptz,
    follow_up_requested boolean not null default false,
    created_at timestamptz not null,
    revision integer not null default 0,
    unique (cohort_id, integration_id)
  )`,
  `create unique index exports_one_per_list on exports (integration_id, list_id) where list_id is not null`,
  `create index exports_by_project on exports (project_id, id desc)`,
  `create index exports_by_integration on exports (integration_id, id desc)`,
  `create index exports_due on exports (next_run_at) where next_run_at is not null and status = 'ACTIVE'`,

  `create table sync_runs (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    export_id integer not null references exports (id),
    trigger text not null check (trigger in ('MANUAL', 'SCHEDULED', 'PUSH')),
    purpose text not null default 'SYNC' check (purpose in ('SYNC', 'EMPTY')),
    status text not null default 'QUEUED' check (status in
      ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL', 'SUCCEEDED', 'PARTIALLY_SUCCEEDED', 'FAILED', 'CANCELLED')),
    phase text not null default 'WAITING' check (phase in
      ('WAITING', 'READING', 'PLANNING', 'REMOVING', 'ADDING', 'FINISHING', 'DONE')),
    progress double precision not null default 0 check (progress between 0 and 1),
    revision integer not null default 0,
    attempt integer not null default 0,
    members integer not null default 0,
    added integer not null default 0 check (added >= 0),
    unchanged integer not null default 0 check (unchanged >= 0),
    removed integer not null default 0 check (removed >= 0),
    rejected integer not null default 0 check (rejected >= 0),
    not_processed integer not null generated always as (members - added - unchanged - rejected) stored
      check (not_processed >= 0),
    pending_removals integer not null default 0 check (pending_removals >= 0),
    requests_sent integer not null default 0 check (requests_sent >= 0),
    planned_unchanged integer not null default 0,
    planned_rejected integer not null default 0,
    queued_at timestamptz not null,
    started_at timestamptz,
    planned_at timestamptz,
    finished_at timestamptz,
    cancel_requested_at timestamptz,
    error_code text,
    error_message text,
    error_retryable boolean,
    notices text[] not null default '{}',
    check ((error_code is null) = (error_message is null) and (error_code is null) = (error_retryable is null)),
    check ((finished_at is null) = (status in ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL'))),
    check (finished_at is null or phase = 'DONE'),
    check (status not in ('SUCCEEDED', 'PARTIALLY_SUCCEEDED') or not_processed = 0)
  )`,
  `create unique index sync_runs_one_active on sync_runs (export_id)
    where status in ('QUEUED', 'RUNNING', 'AWAITING_APPROVAL')`,
  `create index sync_runs_by_export on sync_runs (export_id, id desc)`,
  `create index sync_runs_by_project on sync_runs (project_id, id desc)`,

  // The journal. What a settled batch did to the run's counts stands beside it, so that a worker that
  // takes a run up can add them up again. members is JSON text of rows [hash, distinctId, email, userId, kind]; it is written
  // once and read back whole, so it is neither parsed nor compressed by the database.
  `create table sync_batches (
    run_id bigint not null references sync_runs (id) on delete cascade,
    number integer not null,
    kind text not null check (kind in ('REMOVE', 'ADD')),
    state text not null default 'PLANNED' check (state in ('PLANNED', 'SENT', 'SETTLED')),
    size integer not null check (size > 0),
    members text not null,
    added integer not null default 0,
    unchanged integer not null default 0,
    removed integer not null default 0,
    rejected integer not null default 0,
    primary key (run_id, number)
  )`,
  `alter table sync_batches alter column members set storage external`,

  // One row is one stay of one person on one list, as acknowledged by Iterable. Rows without
  // removed_at are who is on the list now; added_run_id and removed_run_id make it the ledger too.
  // hash: the first 128 bits of SHA-256 of the identity that Iterable knows the person by.
  // uncertain: Iterable's answer never came, so the person may or may not be on the list.
  // distinct_id is null for people found on the list whom no run of ours had put there.
  `create table list_members (
    id bigint generated always as identity,
    added_run_id bigint not null,
    added_at timestamptz not null,
    removed_run_id bigint,
    removed_at timestamptz,
    sent_fingerprint bigint,
    export_id integer not null,
    uncertain boolean not null default false,
    hash uuid not null,
    distinct_id text,
    email text,
    user_id text,
    check (email is not null or user_id is not null)
  )`,
  `create unique index list_members_current on list_members (export_id, hash) where removed_at is null`,
  `create index list_members_added on list_members (added_run_id, id)`,
  `create index list_members_removed on list_members (removed_run_id, id) where removed_run_id is not null`,

  // One row is one refusal of one person, true for every run from since_run_id until (and without)
  // until_run_id: a run in which nothing changed writes nothing.
  `create table rejections (
    id bigint generated always as identity primary key,
    export_id integer not null,
    since_run_id bigint not null,
    until_run_id bigint,
    rejected_at timestamptz not null,
    retry_at timestamptz,
    fingerprint bigint not null,
    key uuid not null,
    distinct_id text not null,
    email text,
    user_id text,
    reason text not null check (reason in ('MISSING_EMAIL', 'INVALID_EMAIL', 'MISSING_USER_ID', 'INVALID_USER_ID',
      'DUPLICATE_IDENTITY', 'ITERABLE_INVALID', 'ITERABLE_NOT_FOUND', 'ITERABLE_FORGOTTEN', 'ITERABLE_CONFLICT',
      'ITERABLE_INVALID_DATA', 'ITERABLE_UNATTRIBUTED')),
    detail text
  )`,
  `create index rejections_open on rejections (export_id, key) where until_run_id is null`,
  `create index rejections_by_export on rejections (export_id, id)`,

  // When the next request of this kind may leave, shared by all processes.
  `create table pacers (
    key text primary key,
    next_at timestamptz not null
  )`,

  // Notifications are hints: the payload names the row that is to be read again.
  `create function announce() returns trigger language plpgsql as $$
    begin
      perform pg_notify('cohort_sync', tg_argv[0] || ':' || new.project_id || ':' || new.id);
      return null;
    end $$`,
  `create function raise_revision() returns trigger language plpgsql as $$
    begin
      new.revision := old.revision + 1;
      return new;
    end $$`,
  ...['sync_runs:run', 'exports:export', 'integrations:integration'].flatMap((pair) => {
    const [table, noun] = pair.split(':');
    return [
      `create trigger raise_revision before update on ${table} for each row execute function raise_revision()`,
      `create trigger announce after insert or update on ${table} for each row execute function announce('${noun}')`,
    ];
  }),
  // Tokens: a revoked one closes its open sockets at once.
  `create trigger announce after update of revoked_at on api_tokens for each row execute function announce('token')`,
];
