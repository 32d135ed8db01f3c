import { type Kysely, sql } from 'kysely';

/** Cohorts that Mixpanel pushes. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // Where a partner may call us. The key is part of the address, the password is encrypted.
  `create table webhook_endpoints (
    id bigint generated always as identity primary key,
    project_id bigint not null references projects (id),
    partner text not null check (partner in ('MIXPANEL', 'ITERABLE')),
    key text not null unique,
    username text not null,
    password text not null,
    last_received_at timestamptz,
    unique (project_id, partner)
  )`,

  // What Mixpanel tells of a cohort in one go, page by page. Ids are in the order in which sessions were begun.
  // OPEN: pages are missing. WHOLE: all have come. APPLIED: it is in pushed_members. EXPIRED: the rest never came.
  `create table pushed_sessions (
    id bigint generated always as identity primary key,
    cohort_id bigint not null references cohorts (id),
    action text not null check (action in ('members', 'add_members', 'remove_members')),
    session_id text not null,
    total_pages integer not null check (total_pages > 0),
    pages integer not null default 0 check (pages >= 0),
    state text not null default 'OPEN' check (state in ('OPEN', 'WHOLE', 'APPLIED', 'EXPIRED')),
    begun_at timestamptz not null,
    unique (cohort_id, session_id, action)
  )`,
  `create index pushed_sessions_waiting on pushed_sessions (cohort_id, id) where state in ('OPEN', 'WHOLE')`,
  `create index pushed_sessions_by_age on pushed_sessions (begun_at)`,

  // members: JSON rows [distinct_id, email, userId], gone when the session is applied.
  `create table pushed_pages (
    session_id bigint not null references pushed_sessions (id) on delete cascade,
    number integer not null,
    members json not null,
    primary key (session_id, number)
  )`,

  // Who is in a pushed cohort. session_id: the newest session that named the person; an older one that becomes whole later
  // says nothing about them. Those who left are kept as long as there may be such a one.
  `create table pushed_members (
    cohort_id bigint not null,
    distinct_id text collate "C" not null,
    email text,
    user_id text,
    is_member boolean not null,
    session_id bigint not null,
    primary key (cohort_id, distinct_id)
  )`,
  `create index pushed_members_left on pushed_members (cohort_id, session_id) where not is_member`,

  // replaced_by: the newest session that has told all members; what is older says nothing any more.
  // push_note: what became of a session that never became whole.
  `alter table cohorts
    add column replaced_by bigint,
    add column last_received_at timestamptz,
    add column push_note text`,
];
