import type { CohortRow, ExportRow, IntegrationRow, SyncRunRow } from './tables.ts';

/** Some columns of a table. Of each set there is one object, whose key names it. */
export interface Columns<Row = unknown> {
  key: string;
  names: readonly (keyof Row & string)[];
}

/**
 * Makes sets of a table's columns; `all` lists every column, which the compiler checks. The id comes first. `keys` are in
 * every set: by them rows are ordered, joined and found again.
 */
function columnsOf<Row>(
  table: string,
  keys: readonly (keyof Row & string)[],
  all: Record<keyof Row & string, true>,
): ColumnSets<Row> {
  const names = Object.keys(all) as (keyof Row & string)[];
  const sets = new Map<string, Columns<Row>>();
  const some = (wanted: ReadonlySet<string>) => {
    const chosen = names.filter((name) => wanted.has(name) || keys.includes(name));
    const key = `${table}:${chosen.join(',')}`;
    const known = sets.get(key);
    if (known) return known;
    const columns = { key, names: chosen };
    // Callers decide how many sets there are.
    if (sets.size < MAX_SETS) sets.set(key, columns);
    return columns;
  };
  return { some, all: some(new Set(names)) };
}

const MAX_SETS = 500;

export interface ColumnSets<Row> {
  some(wanted: ReadonlySet<string>): Columns<Row>;
  all: Columns<Row>;
}

/** The row whose columns begin at this place of a hot statement's values. */
export function rowAt<Row>(columns: Columns<Row>, values: readonly unknown[], start: number): Row {
  const row: Record<string, unknown> = {};
  const { names } = columns;
  for (let index = 0; index < names.length; index++) row[names[index]!] = values[start + index];
  return row as Row;
}

export const cohortColumns = columnsOf<CohortRow>('cohorts', ['id', 'name'], {
  id: true,
  project_id: true,
  source: true,
  source_project_id: true,
  external_id: true,
  name: true,
  description: true,
  member_count: true,
  exportable: true,
  present: true,
  refreshed_at: true,
  import_id: true,
  replaced_by: true,
  last_received_at: true,
  source_note: true,
  file_reading: true,
});

export const exportColumns = columnsOf<ExportRow>('exports', ['id', 'cohort_id', 'integration_id'], {
  id: true,
  project_id: true,
  cohort_id: true,
  integration_id: true,
  sync_type: true,
  status: true,
  list_name: true,
  list_id: true,
  list_created_at: true,
  list_size: true,
  kept_count: true,
  drift_checked_at: true,
  next_run_at: true,
  follow_up_requested: true,
  created_at: true,
  revision: true,
});

export const integrationColumns = columnsOf<IntegrationRow>('integrations', ['id'], {
  id: true,
  project_id: true,
  provider: true,
  status: true,
  attention: true,
  data_center: true,
  project_type: true,
  user_id_fallback: true,
  guard_max_share: true,
  guard_min_removals: true,
  api_key: true,
  api_key_hint: true,
  connected_at: true,
  connected_by: true,
  revision: true,
  partner_project_id: true,
});

export const runColumns = columnsOf<SyncRunRow>('sync_runs', ['id', 'export_id'], {
  id: true,
  project_id: true,
  export_id: true,
  trigger: true,
  purpose: true,
  status: true,
  phase: true,
  progress: true,
  revision: true,
  attempt: true,
  members: true,
  added: true,
  unchanged: true,
  removed: true,
  rejected: true,
  not_processed: true,
  pending_removals: true,
  requests_sent: true,
  planned_unchanged: true,
  planned_rejected: true,
  planned_added: true,
  planned_from: true,
  include_kept: true,
  decision: true,
  queued_at: true,
  started_at: true,
  planned_at: true,
  finished_at: true,
  ledger_deleted_at: true,
  cancel_requested_at: true,
  cancel_requested_by: true,
  cancel_cause: true,
  error_code: true,
  error_message: true,
  error_retryable: true,
  notices: true,
  notice_details: true,
  started_by: true,
  wait_reason: true,
  wait_until: true,
  query_turn: true,
});
