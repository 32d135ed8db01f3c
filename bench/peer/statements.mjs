/** Named, so that PostgreSQL parses and plans each of them once a connection. */

const COHORT = `id::text, name, source, member_count as "memberCount", present, refreshed_at as "refreshedAt"`;
const EXPORT = `export.id, export.cohort_id as "cohortId", export.integration_id as "integrationId",
  export.sync_type as "syncType", export.status, export.list_name as "listName", export.list_size as "listSize",
  export.next_run_at as "nextRunAt"`;
const RUN = `run.id, run.export_id as "exportId", run.status, run.phase, run.trigger, run.progress,
  run.started_at as "startedAt", run.finished_at as "finishedAt", run.members, run.added, run.unchanged,
  run.removed, run.rejected, run.not_processed as "notProcessed"`;
const INTEGRATION = `id, provider, status, attention, api_key_hint as "apiKeyHint", connected_at as "connectedAt"`;

/** @type {Record<string, string>} */
export const statements = {
  token: `select project_id as "projectId", role from api_tokens
    where secret_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())`,
  integrations: `select ${INTEGRATION} from integrations where project_id = $1 order by id`,
  integrationsById: `select ${INTEGRATION} from integrations where project_id = $1 and id = any($2::bigint[])`,
  cohorts: `select ${COHORT} from cohorts where project_id = $1 order by name collate "C", id limit $2`,
  cohortsAfter: `select ${COHORT} from cohorts
    where project_id = $1 and (name collate "C", id) > ($3 collate "C", $4::bigint)
    order by name collate "C", id limit $2`,
  cohortsById: `select ${COHORT} from cohorts where project_id = $1 and id = any($2::bigint[])`,
  exports: `select ${EXPORT} from exports export where project_id = $1 order by id desc limit $2`,
  exportsBefore: `select ${EXPORT} from exports export where project_id = $1 and id < $3::int order by id desc limit $2`,
  exportsByCohort: `select ${EXPORT} from exports export where project_id = $1 and cohort_id = any($2::bigint[])`,
  runsOfExports: `select ${RUN} from unnest($2::int[]) as wanted (export_id), lateral (
      select * from sync_runs where export_id = wanted.export_id and project_id = $1 order by id desc limit $3
    ) as run`,
  rejectionsByRun: `select run.id as "runId", rejection.reason, count(*)::int as count
    from sync_runs run join rejections rejection on rejection.export_id = run.export_id
      and rejection.since_run_id <= run.id
      and (rejection.until_run_id is null or rejection.until_run_id > run.id)
    where run.project_id = $1 and run.id = any($2::bigint[])
    group by run.id, rejection.reason
    order by count desc, rejection.reason`,
  polledExports: `select count(*)::int as count from exports export join cohorts cohort on cohort.id = export.cohort_id
    where export.project_id = $1 and cohort.source = 'MIXPANEL'
      and export.sync_type = 'DYNAMIC' and export.status = 'ACTIVE'`,
};
