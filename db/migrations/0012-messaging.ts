import { type Kysely, sql } from 'kysely';

/** Iterable's events, on their way to Mixpanel, and what they add up to. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // What came in and was answered, until it is filed. Nothing but this is written before the answer.
  `create table messaging_inbox (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    received_at timestamptz not null,
    body text not null
  )`,
  `create index messaging_inbox_by_project on messaging_inbox (project_id, id)`,

  // insert_id: what makes a repeat known, here and in Mixpanel. at: the event's own time. data: its dataFields as JSON,
  // null for echoes. detail: why it was refused, or dropped.
  `create table messaging_events (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    insert_id uuid not null,
    event text not null,
    at timestamptz not null,
    received_at timestamptz not null,
    email text,
    user_id text,
    distinct_id text,
    campaign_id text,
    campaign_name text,
    data text,
    state text not null check (state in ('PENDING', 'IMPORTED', 'REJECTED', 'ECHO')),
    detail text check ((detail is not null) = (state in ('REJECTED', 'ECHO'))),
    unique (project_id, insert_id)
  )`,
  `create index messaging_events_pending on messaging_events (project_id, id) where state = 'PENDING'`,
  `create index messaging_events_by_age on messaging_events (received_at)`,
  `create index messaging_events_by_email on messaging_events (project_id, email, id) where email is not null`,
  `create index messaging_events_by_user_id on messaging_events (project_id, user_id, id) where user_id is not null`,
  `create index messaging_events_by_distinct_id on messaging_events (project_id, distinct_id, id)
    where distinct_id is not null`,

  // Sums of a month (YYYY-MM, UTC, of the events' own time). They stay when events are forgotten.
  `create table messaging_months (
    project_id bigint not null references projects (id),
    month text collate "C" not null,
    repeats integer not null default 0,
    echoes integer not null default 0,
    counted_users integer not null default 0,
    exempt_only_users integer not null default 0,
    revision integer not null default 0,
    primary key (project_id, month)
  )`,
  `create table messaging_sums (
    project_id bigint not null references projects (id),
    month text collate "C" not null,
    event text not null,
    exempt boolean not null,
    received integer not null default 0,
    imported integer not null default 0,
    rejected integer not null default 0,
    users integer not null default 0,
    primary key (project_id, month, event)
  )`,

  // Who the people of a month are: 128 bits of a hash of the distinct_id. Events that were refused are not among these.
  `create table messaging_people (
    project_id bigint not null references projects (id),
    month text collate "C" not null,
    person uuid not null,
    counted integer not null,
    exempt integer not null,
    first_counted_at timestamptz,
    first_campaign_id text,
    first_campaign_name text,
    primary key (project_id, month, person)
  )`,
  `create table messaging_person_events (
    project_id bigint not null references projects (id),
    month text collate "C" not null,
    event text not null,
    person uuid not null,
    events integer not null,
    primary key (project_id, month, event, person)
  )`,

  // Since when Mixpanel has not taken a project's events, and when it is asked again.
  `create table messaging_imports (
    project_id bigint primary key references projects (id),
    failures integer not null,
    retry_at timestamptz not null
  )`,

  // Mixpanel refuses the service account what it may read but not import.
  `alter table mixpanel_connections add column import_attention text`,

  `create trigger raise_revision before update on messaging_months for each row execute function raise_revision()`,
  `create function announce_usage() returns trigger language plpgsql as $$
    begin
      perform pg_notify('cohort_sync', 'usage:' || new.project_id || ':' || new.month);
      return null;
    end $$`,
  `create trigger announce after insert or update on messaging_months for each row execute function announce_usage()`,
];
