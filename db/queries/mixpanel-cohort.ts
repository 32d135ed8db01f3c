import { sql } from 'kysely';
import type { Db } from '../connect.ts';

export interface ListedCohort {
  externalId: string;
  name: string;
  description: string;
  memberCount: number | null;
  exportable: boolean;
}

/**
 * The project's Mixpanel cohorts as Mixpanel lists them now; what is not listed is no longer present, and what is listed
 * unreadably stays as it is.
 */
export async function replaceMixpanelCohorts(
  db: Db,
  project: { projectId: string; mixpanelProjectId: string; now: Date },
  listed: ListedCohort[],
  unreadableIds: string[],
): Promise<void> {
  const { projectId, mixpanelProjectId, now } = project;
  await sql`
    insert into cohorts
      (project_id, source, source_project_id, refreshed_at, external_id, name, description, member_count, exportable)
    select ${projectId}::bigint, 'MIXPANEL', ${mixpanelProjectId}, ${now}::timestamptz, listed.* from unnest(
      ${listed.map((cohort) => cohort.externalId)}::text[],
      ${listed.map((cohort) => cohort.name)}::text[],
      ${listed.map((cohort) => cohort.description)}::text[],
      ${listed.map((cohort) => cohort.memberCount)}::int[],
      ${listed.map((cohort) => cohort.exportable)}::boolean[]
    ) as listed
    on conflict (project_id, source, source_project_id, external_id) do update set
      refreshed_at = excluded.refreshed_at, name = excluded.name, description = excluded.description,
      member_count = excluded.member_count, exportable = excluded.exportable, present = true
  `.execute(db);
  await markCohortsAbsent(db, projectId, {
    exceptOf: mixpanelProjectId,
    externalIds: [...listed.map((one) => one.externalId), ...unreadableIds],
  });
}

/** Mixpanel cohorts that are not among these, and those that another Mixpanel project pushed. */
async function markCohortsAbsent(
  db: Db,
  projectId: string,
  listed: { exceptOf: string; externalIds: string[] },
): Promise<void> {
  await db
    .updateTable('cohorts')
    .set({ present: false })
    .where('project_id', '=', projectId)
    .where('source', '!=', 'FILE')
    .where('present', '=', true)
    .where((eb) =>
      eb.or([
        eb('source_project_id', '!=', listed.exceptOf),
        eb.and([
          eb('source', '=', 'MIXPANEL'),
          eb.not(eb('external_id', '=', sql<string>`any(${listed.externalIds}::text[])`)),
        ]),
      ]),
    )
    .execute();
}

/** Exports of cohorts of another Mixpanel project than this stop: their cohorts cannot be read any more. */
export async function stopExportsOfOtherProjects(
  db: Db,
  projectId: string,
  mixpanelProjectId: string,
): Promise<number[]> {
  const rows = await db
    .updateTable('exports')
    .set({
      status: sql`case when exports.status = 'COMPLETED' then exports.status else 'STOPPED' end`,
      next_run_at: null,
    })
    .from('cohorts')
    .whereRef('cohorts.id', '=', 'exports.cohort_id')
    .where('exports.project_id', '=', projectId)
    .where('cohorts.source', '!=', 'FILE')
    .where('cohorts.source_project_id', '!=', mixpanelProjectId)
    .returning('exports.id')
    .execute();
  return rows.map((row) => row.id);
}
