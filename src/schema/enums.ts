import { builder } from './builder.ts';

export const Role = builder.enumType('Role', {
  description: "What a token may do; each role may what the ones after it may. They are Mixpanel's roles.",
  values: {
    OWNER: { description: 'Everything, tokens of role OWNER and further projects among it.' },
    ADMIN: { description: 'Connects partners, exports cohorts, makes tokens up to ADMIN.' },
    ANALYST: { description: 'Reads and watches.' },
    CONSUMER: { description: 'Reads and watches.' },
  },
});

export const Provider = builder.enumType('Provider', {
  description: 'A service that cohorts are exported to.',
  values: { ITERABLE: { description: 'Iterable; a cohort becomes a static list.' } },
});

export const DataCenter = builder.enumType('DataCenter', {
  description: 'Where an Iterable project lives; its API keys work there only.',
  values: { US: { description: 'api.iterable.com' }, EU: { description: 'api.eu.iterable.com' } },
});

export const IterableProjectType = builder.enumType('IterableProjectType', {
  description: "How an Iterable project keys its users. Iterable's API does not tell it, so the user does.",
  values: {
    EMAIL: { description: 'By e-mail. Not in the EU data center.' },
    USER_ID: { description: 'By userId.' },
    HYBRID: { description: 'By e-mail and userId, both unique.' },
  },
});

export const MixpanelRegion = builder.enumType('MixpanelRegion', {
  description: "Where a Mixpanel project's data lives.",
  values: {
    US: { description: 'mixpanel.com' },
    EU: { description: 'eu.mixpanel.com' },
    IN: { description: 'in.mixpanel.com' },
  },
});

export const FileFormat = builder.enumType('FileFormat', {
  description: 'What a file of members can be.',
  values: {
    CSV: { description: 'A header row, and a row for each person.' },
    NDJSON: { description: 'A JSON object on each line.' },
  },
});

export const IdMerge = builder.enumType('IdMerge', {
  description: "A Mixpanel project's identity management; Mixpanel's API does not tell it, so the user does.",
  values: {
    ORIGINAL: { description: 'Original ID merge: the userId is the property $iterable_user_id.' },
    SIMPLIFIED: { description: 'Simplified ID merge: the userId is the distinct_id, none for $device: ids.' },
  },
});

export const UserIdFallback = builder.enumType('UserIdFallback', {
  description:
    'What becomes the Iterable userId of a member without $iterable_user_id, in projects on original ID merge.',
  values: {
    NONE: { description: 'Nothing: no userId in Iterable is overwritten.' },
    DISTINCT_ID: {
      description: "The distinct_id, as Mixpanel's own sync does, unless it begins with $device:.",
    },
  },
});

export const IntegrationStatus = builder.enumType('IntegrationStatus', {
  description: 'Whether a partner can be worked with.',
  values: {
    CONNECTED: { description: 'Connected and in order.' },
    DISCONNECTED: { description: 'No credentials are stored.' },
    NEEDS_ATTENTION: { description: 'The partner refused the credentials; attention says why.' },
  },
});

export const CohortSource = builder.enumType('CohortSource', {
  description:
    "MIXPANEL: read through the Query API. MIXPANEL_WEBHOOK: pushed by Mixpanel's cohort webhook. FILE: uploaded here.",
  values: {
    MIXPANEL: { description: 'Read through the Query API.' },
    MIXPANEL_WEBHOOK: { description: "Pushed by Mixpanel's cohort webhook." },
    FILE: { description: 'Uploaded here with importCohort.' },
  },
});

export const SyncType = builder.enumType('SyncType', {
  description: 'How often a cohort is exported.',
  values: {
    ONE_TIME: { description: 'Once; the list stays as it is afterwards.' },
    DYNAMIC: { description: 'Again and again, on a fixed grid from its start.' },
  },
});

export const ExportStatus = builder.enumType('ExportStatus', {
  description: 'Whether an export goes on.',
  values: {
    ACTIVE: { description: 'It runs, or will.' },
    PAUSED: { description: 'No runs are started until it is resumed.' },
    COMPLETED: { description: 'A one-time export whose run is over.' },
    STOPPED: { description: 'Ended; startSync begins it again.' },
  },
});

export const SyncTrigger = builder.enumType('SyncTrigger', {
  description: 'What caused a run.',
  values: {
    MANUAL: { description: 'Somebody asked for it.' },
    SCHEDULED: { description: 'Its time on the grid had come.' },
    PUSH: { description: 'The cohort changed at its source.' },
  },
});

export const SyncRunStatus = builder.enumType('SyncRunStatus', {
  description: 'How far a run is, or how it ended.',
  values: {
    QUEUED: { description: 'Waits for a worker.' },
    RUNNING: { description: 'A worker executes it.' },
    AWAITING_APPROVAL: { description: 'Held by the removal guard.' },
    SUCCEEDED: {
      description:
        'Everybody in the cohort is on the list. noticeDetails counts who else is still on it (PEOPLE_KEPT, REMOVALS_REFUSED).',
    },
    PARTIALLY_SUCCEEDED: {
      description: 'As SUCCEEDED, but for people who were rejected; members(outcome: REJECTED) names them.',
    },
    FAILED: { description: 'It broke off; error says why.' },
    CANCELLED: { description: 'Somebody ended it.' },
  },
});

export const SyncPhase = builder.enumType('SyncPhase', {
  description: 'What a run is doing.',
  values: {
    WAITING: { description: "For a worker, or for Mixpanel's query quota." },
    READING: { description: 'The cohort is read.' },
    PLANNING: { description: 'It is compared with the list.' },
    REMOVING: { description: 'Those who no longer qualify are removed.' },
    ADDING: { description: 'Those who newly qualify are added.' },
    FINISHING: { description: 'The outcome is written down.' },
    DONE: { description: 'The run is over, however it ended.' },
  },
});

export const ListAction = builder.enumType('ListAction', {
  description: 'What happens to the Iterable list when its export is stopped.',
  values: {
    KEEP: { description: 'It stays as it is.' },
    EMPTY: { description: 'A run removes everybody from it.' },
    DELETE: { description: 'It is deleted before the mutation answers.' },
  },
});

export const MemberOutcome = builder.enumType('MemberOutcome', {
  description: 'What a run did with a person.',
  values: {
    ADDED: { description: 'Put on the list.' },
    UNCHANGED: { description: 'On the list before and after; counted, not listed.' },
    REMOVED: { description: 'Taken off the list.' },
    REJECTED: { description: 'In the cohort but not on the list; reason says why.' },
  },
});

export const RejectionReason = builder.enumType('RejectionReason', {
  description: 'Why a member of the cohort is not on the list.',
  values: {
    MISSING_EMAIL: { description: 'No e-mail, and the Iterable project needs one.' },
    INVALID_EMAIL: { description: 'The e-mail is malformed.' },
    MISSING_USER_ID: { description: 'No userId, and the Iterable project needs one.' },
    INVALID_USER_ID: { description: 'The userId is longer than 52 characters or not printable ASCII.' },
    DUPLICATE_IDENTITY: {
      description: 'Another member with a smaller distinct_id has the same identity in Iterable.',
    },
    ITERABLE_INVALID: { description: 'Iterable calls the e-mail or userId invalid.' },
    ITERABLE_NOT_FOUND: { description: 'Iterable does not know the user.' },
    ITERABLE_FORGOTTEN: { description: 'The user was erased in Iterable (GDPR) and cannot come back.' },
    ITERABLE_CONFLICT: { description: 'E-mail and userId belong to different users in Iterable.' },
    ITERABLE_INVALID_DATA: { description: 'Iterable refused the data of the user.' },
    ITERABLE_UNATTRIBUTED: { description: 'Iterable counted a failure without a reason.' },
  },
});

export const RunWaitReason = builder.enumType('RunWaitReason', {
  description: 'What a run waits for.',
  values: {
    QUERY_QUOTA: { description: "Mixpanel's queries of the hour are used up." },
    DESTINATION_TURN: { description: "Iterable's limits: others' requests go first." },
    SOURCE_BEING_APPLIED: { description: 'What Mixpanel pushed is being applied.' },
    WORKER: { description: 'No worker has taken it up yet.' },
    APPROVAL: { description: 'The removal guard holds it until somebody decides.' },
    RETRY: { description: 'A request to a partner is made again in a moment.' },
  },
});

export const RunNoticeCode = builder.enumType('RunNoticeCode', {
  description: 'What a notice of a run is about.',
  values: {
    LIST_CREATED_ANEW: { description: 'The list had been deleted, and was made anew.' },
    LIST_FOUND_ANEW: { description: 'The list had been deleted; another one of its name takes its place.' },
    DRIFT_REPAIRED: { description: 'The list was not as runs had left it. Counts people.' },
    PEOPLE_KEPT: { description: 'People stay on the list because their removal was discarded. Counts them.' },
    REMOVALS_REFUSED: { description: 'People stay on the list because Iterable refuses to remove them.' },
    SOURCE_ROWS_SKIPPED: { description: 'Rows of the cohort that name nobody were left out. Counts them.' },
    OTHER: { description: 'Anything else; the message tells.' },
  },
});

export const SyncErrorCode = builder.enumType('SyncErrorCode', {
  description: 'Why a run failed.',
  values: {
    SOURCE_UNAVAILABLE: { description: 'The cohort could not be read in time.' },
    SOURCE_UNAUTHORIZED: {
      description: 'Mixpanel refused the service account, or its plan has no Query API.',
    },
    SOURCE_INCOMPLETE: { description: 'The cohort could not be read whole; nothing was changed.' },
    SOURCE_QUOTA_EXHAUSTED: { description: "Mixpanel's query quota is used up, by others too." },
    COHORT_NOT_FOUND: { description: 'Mixpanel does not have the cohort any more.' },
    NO_MEMBER_HAS_IDENTITY: {
      description: 'Nobody in the cohort can be known in Iterable; nothing was changed.',
    },
    DESTINATION_UNAVAILABLE: { description: 'Iterable could not be reached in time, or refused a request.' },
    DESTINATION_UNAUTHORIZED: { description: 'Iterable refused the key; the integration needs attention.' },
    DESTINATION_LIST_GONE: { description: 'The list was deleted while the run wrote to it.' },
    INTEGRATION_DISCONNECTED: { description: 'The integration was disconnected while the run was going.' },
    INTERNAL: { description: 'A fault of ours; the log tells more.' },
  },
});

export const ErrorCode = builder.enumType('ErrorCode', {
  description: 'extensions.code of every expected error, and OperationError.code.',
  values: {
    UNAUTHENTICATED: { description: 'No valid token was sent.' },
    FORBIDDEN: { description: "The token's role may not do this." },
    BAD_USER_INPUT: {
      description: 'The document or its input is wrong; extensions.issues lists path and message.',
    },
    NOT_FOUND: { description: 'The project has no object with this id.' },
    RATE_LIMITED: { description: 'Too soon; extensions.retryAfterSeconds says when.' },
    QUERY_TOO_COMPLEX: { description: 'The operation asks for too much at once.' },
    INTEGRATION_NOT_CONNECTED: { description: 'Iterable is not connected.' },
    INVALID_CREDENTIALS: { description: 'The partner refuses the credentials; nothing was stored.' },
    INSUFFICIENT_PERMISSIONS: { description: 'The credentials are good but may not do what is needed.' },
    PARTNER_UNAVAILABLE: { description: 'The partner could not be reached in time.' },
    MIXPANEL_NOT_CONNECTED: { description: 'Mixpanel is not connected.' },
    SYNC_ALREADY_RUNNING: {
      description:
        'The export has an active run; extensions.runId names it, extensions.status says whether it waits for approval.',
    },
    INVALID_STATE: { description: 'Not in this state; the message says why.' },
  },
});
