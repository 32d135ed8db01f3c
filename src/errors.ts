import type { SyncRunRow } from '../db/tables.ts';

export const ERROR_CODES = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'NOT_FOUND',
  'RATE_LIMITED',
  'QUERY_TOO_COMPLEX',
  'INTEGRATION_NOT_CONNECTED',
  'INVALID_CREDENTIALS',
  'INSUFFICIENT_PERMISSIONS',
  'PARTNER_UNAVAILABLE',
  'MIXPANEL_NOT_CONNECTED',
  'SYNC_ALREADY_RUNNING',
  'INVALID_STATE',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure that a caller can expect and act on. Anything else that is thrown is a bug. */
export class CohortSyncError extends Error {
  readonly code: ErrorCode;
  /** Shown beside the code in the answer's extensions; never a key, a token or a person. */
  readonly extensions: Record<string, unknown>;

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; extensions?: Record<string, unknown> } = {},
  ) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'CohortSyncError';
    this.code = code;
    this.extensions = options.extensions ?? {};
  }
}

export interface InputIssue {
  /** Where in the arguments, for example ["input", "name"]; for a file ["input", "file", "line 7"]. */
  path: (string | number)[];
  message: string;
}

/** The caller's input is wrong in ways that are listed one by one. */
export class BadUserInputError extends CohortSyncError {
  constructor(issues: InputIssue[]) {
    super('BAD_USER_INPUT', issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`).join('; '), {
      extensions: { issues },
    });
  }
}

export class NotFoundError extends CohortSyncError {
  constructor(noun: string) {
    super('NOT_FOUND', `There is no such ${noun} in this project.`);
  }
}

export class InvalidStateError extends CohortSyncError {
  constructor(message: string) {
    super('INVALID_STATE', message);
  }
}

/** runId is the run's database id; the schema turns it into its global id. */
export class SyncAlreadyRunningError extends CohortSyncError {
  readonly runId: string;

  constructor({ id, status }: Pick<SyncRunRow, 'id' | 'status'>) {
    const message =
      status === 'AWAITING_APPROVAL'
        ? 'A run of this export waits for a decision about its removals: use approveRemovals or discardRemovals, or cancel it.'
        : 'A run of this export is still going; wait for it or cancel it first.';
    super('SYNC_ALREADY_RUNNING', message, { extensions: { status } });
    this.runId = id;
  }
}

/** The service cannot start for want of something that its operator can see to. The message says what. */
export class StartError extends Error {
  override readonly name = 'StartError';
}
