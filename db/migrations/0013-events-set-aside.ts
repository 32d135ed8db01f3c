import { type Kysely, sql } from 'kysely';

/** Events that cannot be filed hold up nobody. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // What is being filed, committed before it is begun: first_id and last_id of the inbox, null once it is done. Whoever finds
  // them there finds what another process did not survive. attempt: whose it is. Events up to alone_until are filed one by one.
  `create table messaging_filings (
    project_id bigint primary key references projects (id),
    attempt uuid not null,
    begun_at timestamptz not null,
    first_id bigint,
    last_id bigint,
    is_alone boolean not null,
    alone_until bigint,
    check ((first_id is null) = (last_id is null))
  )`,

  // Out of the inbox, as they came, with the reason.
  `create table messaging_set_aside (
    id bigint primary key,
    project_id bigint not null references projects (id),
    received_at timestamptz not null,
    body text not null,
    reason text not null,
    set_aside_at timestamptz not null
  )`,
];
