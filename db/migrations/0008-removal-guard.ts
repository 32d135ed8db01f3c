import { type Kysely, sql } from 'kysely';

/** Runs whose removals wait for approval. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // HELD: planned, and not to be sent before somebody has decided about the run's removals.
  `alter table sync_batches drop constraint sync_batches_state_check`,
  `alter table sync_batches add constraint sync_batches_state_check
    check (state in ('PLANNED', 'SENT', 'SETTLED', 'UNANSWERED', 'HELD'))`,
  // sync_batches.marks: 2 is kept, on the list though they do not qualify, because a removal was discarded.
  `alter table exports add column kept_count integer not null default 0 check (kept_count >= 0)`,
  // A run that was approved is planned twice. planned_from: number of the first batch of its newest plan;
  // planned_added: members of that plan whom the run itself had added before.
  `alter table sync_runs
    add column include_kept boolean not null default false,
    add column decision text check (decision in ('APPROVED', 'DISCARDED')),
    add column planned_from integer not null default 0,
    add column planned_added integer not null default 0`,
];
