/** A request to Mixpanel that did not succeed. Messages never hold a secret or a person. */
export class MixpanelError extends Error {
  readonly retryable: boolean = false;
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(message: string, options: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = new.target.name;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** 401, 403, or a 400 that says so. */
export class MixpanelUnauthorizedError extends MixpanelError {}

/** 402: the plan has no Query API, or is not paid. */
export class MixpanelPlanError extends MixpanelError {}

/** 429: too many queries at a time, which passes in seconds. */
export class MixpanelBusyError extends MixpanelError {
  override readonly retryable = true;
  declare readonly retryAfterMs: number;
}

/** 429: the hour is used up, which takes minutes. retryAfterMs only when Mixpanel says it. */
export class MixpanelQuotaError extends MixpanelError {}

/** 5xx, a connection that broke, an answer that did not come in time. */
export class MixpanelUnavailableError extends MixpanelError {
  override readonly retryable = true;
}

/** A 400 on a later page: the query is not remembered any more and has to begin anew. */
export class SessionLostError extends MixpanelError {}

/** A refusal of the query's first page: the cohort may not be there. */
export class CohortUnknownError extends MixpanelError {}

export class MixpanelUnexpectedAnswerError extends MixpanelError {}

/** There is no query for this one now: the hour's budget is used up, or Mixpanel says that the hour is. */
export class QueriesUsedUpError extends Error {
  override readonly name = 'QueriesUsedUpError';
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, cause?: unknown) {
    super(message, { cause });
    this.retryAfterMs = retryAfterMs;
  }
}
