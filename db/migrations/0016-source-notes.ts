import { type Kysely, sql } from 'kysely';

/** What sources tell and could not be used is said; a Mixpanel project may have Data Views. Frozen: later changes are further migrations. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db);
}

const statements = [
  // What of the last push, file or read could not be used; null when all of it was.
  `alter table cohorts rename column push_note to source_note`,
  // FILE cohorts: how the file was understood. Null for files from before.
  `alter table cohorts add column file_reading jsonb`,

  // workspace_id: the Data View to be asked for; null for projects without. list_note: what of the cohort list could not be read.
  `alter table mixpanel_connections add column workspace_id text, add column list_note text`,
];
