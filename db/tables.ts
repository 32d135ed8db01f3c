import type { ColumnType, Generated, Selectable } from 'kysely';
import type { GeneratedInt8, Int8 } from './column-types.ts';
import type { FileReading, RunNotice } from './json-columns.ts';
import type { LimitTables } from './limit-tables.ts';
import type { MessagingTables } from './messaging-tables.ts';
import type {
  BatchKind,
  BatchState,
  CancelCause,
  CohortSource,
  DataCenter,
  ExportStatus,
  IdMerge,
  IntegrationStatus,
  IterableProjectType,
  MixpanelRegion,
  Provider,
  QueryTurn,
  RejectionReason,
  RemovalDecision,
  Role,
  RunPurpose,
  SyncErrorCode,
  SyncPhase,
  SyncRunStatus,
  SyncTrigger,
  SyncType,
  UserIdFallback,
  WaitReason,
} from './values.ts';
import type { WebhookTables } from './webhook-tables.ts';

export interface Tables extends LimitTables, WebhookTables, MessagingTables {
  projects: ProjectTable;
  api_tokens: ApiTokenTable;
  mixpanel_connections: MixpanelConnectionTable;
  integrations: IntegrationTable;
  cohorts: CohortTable;
  cohort_imports: CohortImportTable;
  cohort_file_members: CohortFileMemberTable;
  exports: ExportTable;
  sync_runs: SyncRunTable;
  sync_batches: SyncBatchTable;
  people_segments: PeopleSegmentTable;
  rejections: RejectionTable;
}

interface ProjectTable {
  id: GeneratedInt8;
  name: string;
  is_first: Generated<boolean>;
  created_at: Date;
}

interface ApiTokenTable {
  id: GeneratedInt8;
  project_id: Int8;
  name: string;
  role: Role;
  secret_hash: Buffer;
  created_at: Date;
  last_used_at: Date | null;
  expires_at: Date | null;
  revoked_at: Date | null;
}

interface MixpanelConnectionTable {
  id: GeneratedInt8;
  project_id: Int8;
  region: MixpanelRegion;
  mixpanel_project_id: string;
  /** Of a project with Data Views. */
  workspace_id: string | null;
  /** What of the cohort list could not be read. */
  list_note: Generated<string | null>;
  id_merge: IdMerge;
  service_account_username: string;
  /** Encrypted; see src/secrets.ts. */
  service_account_secret: string;
  status: 'CONNECTED' | 'NEEDS_ATTENTION';
  attention: string | null;
  connected_at: Date;
  cohorts_refreshed_at: Date | null;
  next_refresh_at: Date;
  /** Why events cannot be imported, though cohorts may be read. */
  import_attention: string | null;
}

interface IntegrationTable {
  id: GeneratedInt8;
  project_id: Int8;
  provider: Provider;
  status: Generated<IntegrationStatus>;
  attention: string | null;
  data_center: DataCenter | null;
  project_type: IterableProjectType | null;
  user_id_fallback: UserIdFallback | null;
  guard_max_share: number | null;
  guard_min_removals: number | null;
  /** Encrypted; null exactly while disconnected. */
  api_key: string | null;
  api_key_hint: string | null;
  connected_at: Date | null;
  connected_by: string | null;
  revision: Generated<number>;
  /** Iterable's id of the project it was last connected to; null when Iterable did not tell it. */
  partner_project_id: string | null;
}

interface CohortTable {
  id: GeneratedInt8;
  project_id: Int8;
  source: CohortSource;
  /** Mixpanel's project id; empty for files. */
  source_project_id: Generated<string>;
  external_id: string;
  name: string;
  description: string | null;
  member_count: number | null;
  exportable: Generated<boolean>;
  present: Generated<boolean>;
  refreshed_at: Date;
  /** FILE cohorts: whose cohort_file_members they are. */
  import_id: Int8 | null;
  /** MIXPANEL_WEBHOOK cohorts, this and the following ones; see the migration 0011-mixpanel-webhook. */
  replaced_by: Int8 | null;
  last_received_at: Date | null;
  /** What of the last push, file or read could not be used. */
  source_note: string | null;
  /** FILE cohorts: how the file was understood; null for one from before that was noted. */
  file_reading: ColumnType<FileReading | null, string | null | undefined, string | null>;
}

interface CohortImportTable {
  id: GeneratedInt8;
  project_id: Int8;
  started_at: Date;
}

interface CohortFileMemberTable {
  import_id: Int8;
  position: number;
  distinct_id: string;
  email: string | null;
  user_id: string | null;
}

interface ExportTable {
  id: ColumnType<number, never, never>;
  project_id: Int8;
  cohort_id: Int8;
  integration_id: Int8;
  sync_type: SyncType;
  status: ExportStatus;
  list_name: string;
  /** Iterable's list id. */
  list_id: Int8 | null;
  /** When the list was made, by us or, as Iterable says, by whoever; null when nobody knows. */
  list_created_at: Date | null;
  list_size: Generated<number>;
  /** People on the list whom a discarded removal keeps there. */
  kept_count: Generated<number>;
  drift_checked_at: Date | null;
  /** Not due before; shown only while it counts. The next point of the grid, unless exports take turns at Mixpanel. */
  next_run_at: Date | null;
  follow_up_requested: Generated<boolean>;
  created_at: Date;
  revision: Generated<number>;
}

interface SyncRunTable {
  id: GeneratedInt8;
  project_id: Int8;
  export_id: number;
  trigger: SyncTrigger;
  purpose: Generated<RunPurpose>;
  status: Generated<SyncRunStatus>;
  phase: Generated<SyncPhase>;
  progress: Generated<number>;
  revision: Generated<number>;
  /** Raised by every worker that takes the run up; a worker with an older number has lost it. */
  attempt: Generated<number>;
  members: Generated<number>;
  added: Generated<number>;
  unchanged: Generated<number>;
  removed: Generated<number>;
  rejected: Generated<number>;
  not_processed: ColumnType<number, never, never>;
  pending_removals: Generated<number>;
  requests_sent: Generated<number>;
  /** unchanged and rejected as the plan found them; batches add to both. */
  planned_unchanged: Generated<number>;
  planned_rejected: Generated<number>;
  /** Members whom the run had added before this plan: it was planned twice. */
  planned_added: Generated<number>;
  /** Number of the first batch of the newest plan. */
  planned_from: Generated<number>;
  /** People whom a discarded removal kept on the list are removed too. */
  include_kept: Generated<boolean>;
  /** About the removals that the guard held. */
  decision: RemovalDecision | null;
  queued_at: Date;
  started_at: Date | null;
  planned_at: Date | null;
  finished_at: Date | null;
  /** When what it did with whom was deleted; the counts stay. */
  ledger_deleted_at: Date | null;
  cancel_requested_at: Date | null;
  /** The name of the token. */
  cancel_requested_by: string | null;
  cancel_cause: CancelCause | null;
  error_code: SyncErrorCode | null;
  error_message: string | null;
  error_retryable: boolean | null;
  notices: Generated<string[]>;
  /** One for each of the notices; none for runs from before they were noted. */
  notice_details: ColumnType<RunNotice[], string | undefined, string>;
  /** The name of the token that asked for it. */
  started_by: string | null;
  wait_reason: WaitReason | null;
  wait_until: Date | null;
  query_turn: Generated<QueryTurn>;
}

interface SyncBatchTable {
  id: GeneratedInt8;
  export_id: number;
  run_id: Int8 | null;
  number: number;
  kind: BatchKind | 'LISTED';
  state: Generated<BatchState>;
  size: number;
  added: Generated<number>;
  unchanged: Generated<number>;
  removed: Generated<number>;
  rejected: Generated<number>;
  live_count: Generated<number>;
  settled_at: Date | null;
  /** A bit a person; see the migration 0003-blocks for this and the following columns. */
  live: Buffer | null;
  /** A byte a person: MARKS. */
  marks: Buffer | null;
  refused: Buffer | null;
  /** A byte a person: NOTES. */
  notes: Buffer | null;
  places: Buffer | null;
  keys: Buffer;
  fingerprints: Buffer;
  /** Written as the bytes of the text. */
  people: ColumnType<string, Buffer, never>;
  /** Its people are in people_segments. */
  is_indexed: Generated<boolean>;
}

/** By which the blocks that hold a person are found; see the migration 0007-people-segments. */
interface PeopleSegmentTable {
  id: GeneratedInt8;
  blocks: Int8[];
  starts: Buffer;
  entries: Buffer;
}

interface RejectionTable {
  id: GeneratedInt8;
  export_id: number;
  since_run_id: Int8;
  until_run_id: Int8 | null;
  rejected_at: Date;
  /** When a person whom Iterable refused may be tried again; null: only when they change. */
  retry_at: Date | null;
  fingerprint: Int8;
  key: string;
  distinct_id: string;
  email: string | null;
  user_id: string | null;
  reason: RejectionReason;
  detail: string | null;
}

/** More of both only in the function take_turn. */
export type ProjectRow = Selectable<ProjectTable>;
export type ApiTokenRow = Selectable<ApiTokenTable>;
export type MixpanelConnectionRow = Selectable<MixpanelConnectionTable>;
export type IntegrationRow = Selectable<IntegrationTable>;
export type CohortRow = Selectable<CohortTable>;
export type ExportRow = Selectable<ExportTable>;
export type SyncRunRow = Selectable<SyncRunTable>;
export type SyncBatchRow = Selectable<SyncBatchTable>;
export type PeopleSegmentRow = Selectable<PeopleSegmentTable>;
export type RejectionRow = Selectable<RejectionTable>;
