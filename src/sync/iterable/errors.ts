import type { FailureBucket } from './answers.ts';

/** A request to Iterable that did not succeed. Messages never hold a key or a person. */
export class IterableError extends Error {
  /** Whether the same request may succeed later. */
  readonly retryable: boolean = false;
  /** How long Iterable asks to wait. */
  readonly retryAfterMs: number | undefined;
  readonly status: number | undefined;

  constructor(message: string, options: { status?: number; retryAfterMs?: number; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = new.target.name;
    this.status = options.status;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** 401 or 403: unknown, disabled or read-only key, or one of the other data center. */
export class UnauthorizedError extends IterableError {}

/** 429. */
export class RateLimitedError extends IterableError {
  override readonly retryable = true;
}

/** 408, 5xx, a connection that broke, an answer that did not come in time. */
export class UnavailableError extends IterableError {
  override readonly retryable = true;
}

/** 400 naming the list: it was deleted, or it is so new that not every server knows it. */
export class InvalidListError extends IterableError {
  /** Iterable's id of the key's project, when the answer names it. */
  readonly projectId: string | undefined;

  constructor(message: string, options: { status?: number; projectId?: string } = {}) {
    super(message, options);
    this.projectId = options.projectId;
  }
}

/** 413, or 400 BatchTooLarge: send fewer people. */
export class BatchTooLargeError extends IterableError {}

/** The whole request was refused for what one person in it is. */
export class PersonRefusedError extends IterableError {
  readonly bucket: FailureBucket;

  constructor(message: string, options: { status?: number; bucket: FailureBucket }) {
    super(message, options);
    this.bucket = options.bucket;
  }
}

/** 409: identities that clash, or a list that is in use. */
export class ConflictError extends PersonRefusedError {}

/** Anything that Iterable should not have answered. */
export class UnexpectedAnswerError extends IterableError {}
