import type { SyncErrorCode } from '../../db/values.ts';

/** The run ends as FAILED, with this for its user. */
export class RunFailure extends Error {
  readonly code: SyncErrorCode;
  readonly retryable: boolean;

  constructor(code: SyncErrorCode, message: string, options: { retryable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = 'RunFailure';
    this.code = code;
    this.retryable = options.retryable;
  }
}

/** Somebody asked for the run to end. */
export class RunCancelled extends Error {
  override readonly name = 'RunCancelled';
}

/** Another worker goes on with the run, or will: this one is stopping, or was given up for dead. */
export class RunHandedOver extends Error {
  override readonly name: string = 'RunHandedOver';
}

/** Another worker has the run, by a job of its own: ours is not needed any more. */
export class RunTakenUp extends RunHandedOver {
  override readonly name = 'RunTakenUp';

  constructor() {
    super('Another worker has taken the run up.');
  }
}

/** The run cannot go on before there is a query to Mixpanel for it, probably after this time. */
export class RunPostponed extends Error {
  override readonly name = 'RunPostponed';
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}
