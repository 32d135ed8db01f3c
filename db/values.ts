/** What columns of text may hold. The API's enums bear the same names. */

export type Role = 'OWNER' | 'ADMIN' | 'ANALYST' | 'CONSUMER';
export type MixpanelRegion = 'US' | 'EU' | 'IN';
export type IdMerge = 'ORIGINAL' | 'SIMPLIFIED';
export type Provider = 'ITERABLE';
export type IntegrationStatus = 'CONNECTED' | 'DISCONNECTED' | 'NEEDS_ATTENTION';
export type DataCenter = 'US' | 'EU';
export type IterableProjectType = 'EMAIL' | 'USER_ID' | 'HYBRID';
export type UserIdFallback = 'NONE' | 'DISTINCT_ID';
export type CohortSource = 'MIXPANEL' | 'MIXPANEL_WEBHOOK' | 'FILE';
/** Who calls our webhooks. */
export type Partner = 'MIXPANEL' | 'ITERABLE';
/** In Mixpanel's words: all members, those who joined, those who left. */
export type PushAction = 'members' | 'add_members' | 'remove_members';
/** PENDING: not imported into Mixpanel yet. REJECTED: never will be. ECHO: our own change of a list. */
export type MessagingState = 'PENDING' | 'IMPORTED' | 'REJECTED' | 'ECHO';
export type PushState = 'OPEN' | 'WHOLE' | 'APPLIED' | 'EXPIRED';
export type SyncType = 'ONE_TIME' | 'DYNAMIC';
export type ExportStatus = 'ACTIVE' | 'PAUSED' | 'COMPLETED' | 'STOPPED';
export type SyncTrigger = 'MANUAL' | 'SCHEDULED' | 'PUSH';
export type RunPurpose = 'SYNC' | 'EMPTY';
export type ActiveRunStatus = 'QUEUED' | 'RUNNING' | 'AWAITING_APPROVAL';
export type FinishedRunStatus = 'SUCCEEDED' | 'PARTIALLY_SUCCEEDED' | 'FAILED' | 'CANCELLED';
export type SyncRunStatus = ActiveRunStatus | FinishedRunStatus;
export type SyncPhase = 'WAITING' | 'READING' | 'PLANNING' | 'REMOVING' | 'ADDING' | 'FINISHING' | 'DONE';
/** What somebody who executes a run waits for. */
export type WaitReason = 'QUERY_QUOTA' | 'DESTINATION_TURN' | 'SOURCE_BEING_APPLIED' | 'RETRY';
export type NoticeCode =
  | 'LIST_CREATED_ANEW'
  | 'LIST_FOUND_ANEW'
  | 'DRIFT_REPAIRED'
  | 'PEOPLE_KEPT'
  | 'REMOVALS_REFUSED'
  | 'SOURCE_ROWS_SKIPPED'
  | 'OTHER';
export type CancelCause = 'REQUEST' | 'DISCONNECT';
export type BatchKind = 'REMOVE' | 'ADD';
export type BatchState = 'PLANNED' | 'SENT' | 'SETTLED' | 'UNANSWERED' | 'HELD';
export type RemovalDecision = 'APPROVED' | 'DISCARDED';
/** What a counted query to Mixpanel asks for. */
export type QueryKind = 'COHORTS' | 'MEMBERS';
export type QueryTurn = 'WANTED' | 'PARKED' | 'TAKEN';
export type MemberOutcome = 'ADDED' | 'UNCHANGED' | 'REMOVED' | 'REJECTED';
export type RejectionReason =
  | 'MISSING_EMAIL'
  | 'INVALID_EMAIL'
  | 'MISSING_USER_ID'
  | 'INVALID_USER_ID'
  | 'DUPLICATE_IDENTITY'
  | 'ITERABLE_INVALID'
  | 'ITERABLE_NOT_FOUND'
  | 'ITERABLE_FORGOTTEN'
  | 'ITERABLE_CONFLICT'
  | 'ITERABLE_INVALID_DATA'
  | 'ITERABLE_UNATTRIBUTED';
export type SyncErrorCode =
  | 'SOURCE_UNAVAILABLE'
  | 'SOURCE_UNAUTHORIZED'
  | 'SOURCE_INCOMPLETE'
  | 'SOURCE_QUOTA_EXHAUSTED'
  | 'COHORT_NOT_FOUND'
  | 'NO_MEMBER_HAS_IDENTITY'
  | 'DESTINATION_UNAVAILABLE'
  | 'DESTINATION_UNAUTHORIZED'
  | 'DESTINATION_LIST_GONE'
  | 'INTEGRATION_DISCONNECTED'
  | 'INTERNAL';
