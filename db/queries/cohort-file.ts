import { sql } from 'kysely';
import type { Db } from '../connect.ts';
import type { FileReading } from '../json-columns.ts';
import type { CohortRow } from '../tables.ts';

export interface FileMember {
  /** Of its line. */
  position: number;
  distinct_id: string;
  email: string | null;
  user_id: string | null;
}

/** The upload that is a file cohort's members now, and how many different people it has. */
export async function findCurrentImport(
  db: Db,
  cohortId: string,
): Promise<{ importId: string | null; people: number }> {
  const row = await db
    .selectFrom('cohorts')
    .select(['import_id', 'member_count'])
    .where('id', '=', cohortId)
    .executeTakeFirstOrThrow();
  return { importId: row.import_id, people: row.member_count ?? 0 };
}

export async function readFileMembers(
  db: Db,
  importId: string,
  afterPosition: number,
  limit: number,
): Promise<FileMember[]> {
  return db
    .selectFrom('cohort_file_members')
    .select(['position', 'distinct_id', 'email', 'user_id'])
    .where('import_id', '=', importId)
    .where('position', '>', afterPosition)
    .orderBy('position')
    .limit(limit)
    .execute();
}

/** Room for the rows of one upload; nobody sees them before publishImport. */
export async function insertImport(db: Db, projectId: string, now: Date): Promise<string> {
  const { id } = await db
    .insertInto('cohort_imports')
    .values({ project_id: projectId, started_at: now })
    .returning('id')
    .executeTakeFirstOrThrow();
  return id;
}

export async function insertFileMembers(db: Db, importId: string, members: FileMember[]): Promise<void> {
  await sql`
    insert into cohort_file_members (import_id, position, distinct_id, email, user_id)
    select ${importId}::bigint, member.* from unnest(
      ${members.map((member) => member.position)}::int[],
      ${members.map((member) => member.distinct_id)}::text[],
      ${members.map((member) => member.email)}::text[],
      ${members.map((member) => member.user_id)}::text[]
    ) as member
  `.execute(db);
}

export async function deleteImport(db: Db, importId: string): Promise<void> {
  await db.deleteFrom('cohort_file_members').where('import_id', '=', importId).execute();
  await db.deleteFrom('cohort_imports').where('id', '=', importId).execute();
}

/** Uploads whose process died before they were published. */
export async function listAbandonedImports(db: Db, before: Date): Promise<string[]> {
  const rows = await db
    .selectFrom('cohort_imports')
    .select('id')
    .where('started_at', '<', before)
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('cohorts')
            .select('cohorts.id')
            .whereRef('cohorts.import_id', '=', 'cohort_imports.id'),
        ),
      ),
    )
    .limit(10)
    .execute();
  return rows.map((row) => row.id);
}

/** Rows whose distinct_id an earlier one has; of those with another e-mail or userId than the first their number, and some of their lines. */
export async function findRepeatedRows(
  db: Db,
  importId: string,
  limit: number,
): Promise<{ rows: number; differing: number; lines: number[] }> {
  const { rows } = await sql<{ rows: number; differing: number; lines: number[] | null }>`
    with firsts as materialized (
      select distinct_id, count(*) - 1 as repeats,
          (array_agg(lower(email) order by position))[1] as email, (array_agg(user_id order by position))[1] as user_id
        from cohort_file_members where import_id = ${importId} group by distinct_id having count(*) > 1
    ), differing as (
      select member.position from cohort_file_members member join firsts using (distinct_id)
        where member.import_id = ${importId} and (
          member.email is not null and lower(member.email) is distinct from firsts.email
          or member.user_id is not null and member.user_id is distinct from firsts.user_id)
    )
    select
      (select coalesce(sum(repeats), 0)::int from firsts) as rows,
      (select count(*)::int from differing) as differing,
      (select array_agg(position order by position)
        from (select position from differing order by position limit ${limit}) shown) as lines
  `.execute(db);
  const [found] = rows;
  return { ...found!, lines: found!.lines ?? [] };
}

/**
 * Makes the uploaded rows the members of the project's file cohort of that name, which is made when it is new. Gives
 * the cohort, and the import that was its members before.
 */
export async function publishImport(
  db: Db,
  upload: {
    projectId: string;
    name: string;
    importId: string;
    now: Date;
    reading: FileReading;
    note: string | null;
  },
): Promise<{ cohort: CohortRow; replaced: string | null }> {
  const { projectId, name, importId, now, reading, note } = upload;
  // One at a time for a name, also while the cohort does not exist yet.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`cohort-file:${projectId}:${name}`}, 0))`.execute(
    db,
  );
  const known = await db
    .selectFrom('cohorts')
    .select(['id', 'import_id'])
    .where('project_id', '=', projectId)
    .where('source', '=', 'FILE')
    .where('name', '=', name)
    .executeTakeFirst();
  const values = {
    member_count: reading.rows - reading.repeatedRows,
    refreshed_at: now,
    import_id: importId,
    source_note: note,
    file_reading: JSON.stringify(reading),
  };
  if (known) {
    const cohort = await db
      .updateTable('cohorts')
      .set(values)
      .where('id', '=', known.id)
      .returningAll()
      .executeTakeFirstOrThrow();
    return { cohort, replaced: known.import_id };
  }
  const cohort = await db
    .insertInto('cohorts')
    .values({
      project_id: projectId,
      source: 'FILE',
      external_id: `file-${importId}`,
      name,
      description: null,
      ...values,
    })
    .returningAll()
    .executeTakeFirstOrThrow();
  return { cohort, replaced: null };
}
