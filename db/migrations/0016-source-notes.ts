import { type Kysely, sql } from 'kysely';

/** A cohort of any source says what of it could not be used. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // What of the last push, file or read could not be used; null when all of it was.
  `alter table cohorts rename column push_note to source_note`,
  // FILE cohorts: how the file was understood. Null for files from before.
  `alter table cohorts add column file_reading jsonb`,
];
