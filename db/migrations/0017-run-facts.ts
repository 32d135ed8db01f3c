import { type Kysely, sql } from 'kysely';

/** A run says who asked for it, what it waits for, and what its notices are. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // started_by: the name of the token; null for scheduled runs and pushes.
  // notice_details: [{"code", "message", "count"}], one for each of notices; empty for runs from before.
  // wait_reason, wait_until: what somebody who executes it waits for now, or what a parked one does; the state tells the rest.
  `alter table sync_runs
    add column started_by text,
    add column notice_details jsonb not null default '[]',
    add column wait_reason text
      check (wait_reason in ('QUERY_QUOTA', 'DESTINATION_TURN', 'SOURCE_BEING_APPLIED', 'RETRY')),
    add column wait_until timestamptz`,
];
