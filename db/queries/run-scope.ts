import type { Db } from '../connect.ts';
import type { CohortRow, ExportRow, IntegrationRow, MixpanelConnectionRow } from '../tables.ts';

/** What a run of an export has to do with. */
export interface RunScope {
  export: ExportRow;
  cohort: CohortRow;
  integration: IntegrationRow;
  mixpanel: MixpanelConnectionRow | undefined;
}

export async function loadRunScope(db: Db, exportId: number): Promise<RunScope> {
  const found = await db
    .selectFrom('exports')
    .selectAll()
    .where('id', '=', exportId)
    .executeTakeFirstOrThrow();
  const [cohort, integration, mixpanel] = await Promise.all([
    db.selectFrom('cohorts').selectAll().where('id', '=', found.cohort_id).executeTakeFirstOrThrow(),
    db
      .selectFrom('integrations')
      .selectAll()
      .where('id', '=', found.integration_id)
      .executeTakeFirstOrThrow(),
    db
      .selectFrom('mixpanel_connections')
      .selectAll()
      .where('project_id', '=', found.project_id)
      .executeTakeFirst(),
  ]);
  return { export: found, cohort, integration, mixpanel };
}
