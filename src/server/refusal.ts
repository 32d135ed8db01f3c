import { GraphQLError } from 'graphql';
import { CohortSyncError, type ErrorCode } from '../errors.ts';

/** A request that is not executed: what its caller is told, by HTTP with this status. */
export class RefusalError extends CohortSyncError {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** The connection is of no more use: what follows on it cannot be told from the body. */
  readonly closes: boolean;

  constructor(
    status: number,
    code: ErrorCode,
    message: string,
    options: {
      cause?: unknown;
      extensions?: Record<string, unknown>;
      headers?: Record<string, string>;
      closes?: boolean;
    } = {},
  ) {
    super(code, message, options);
    this.status = status;
    this.headers = options.headers ?? {};
    this.closes = options.closes ?? false;
  }
}

/** 429: this caller has to slow down. */
export function rateLimited(
  message: string,
  retryAfterSeconds: number,
  options: { closes?: boolean; headers?: Record<string, string> } = {},
): RefusalError {
  return tryAgain(429, message, retryAfterSeconds, options);
}

/** 503: the process has no room now, whoever asks. */
export function overloaded(message: string, retryAfterSeconds = 1): RefusalError {
  return tryAgain(503, message, retryAfterSeconds);
}

function tryAgain(
  status: number,
  message: string,
  retryAfterSeconds: number,
  { closes = false, headers = {} }: { closes?: boolean; headers?: Record<string, string> } = {},
): RefusalError {
  const seconds = Math.max(1, Math.ceil(retryAfterSeconds));
  return new RefusalError(status, 'RATE_LIMITED', message, {
    extensions: { retryAfterSeconds: seconds },
    headers: { ...headers, 'retry-after': String(seconds) },
    closes,
  });
}

/** A request that says something that it may not, in the part of it that path names. */
export function badRequest(path: string, message: string, status = 400): RefusalError {
  return new RefusalError(status, 'BAD_USER_INPUT', `${path}: ${message}`, {
    extensions: { issues: [{ path: [path], message }] },
  });
}

export function unauthenticated(): RefusalError {
  return new RefusalError(401, 'UNAUTHENTICATED', 'Send a valid token: Authorization: Bearer <token>.', {
    headers: { 'www-authenticate': 'Bearer realm="Cohort Sync"' },
  });
}

/** As GraphQL answers it. */
export function toGraphQLError({ message, code, extensions }: CohortSyncError): GraphQLError {
  return new GraphQLError(message, { extensions: { code, ...extensions } });
}
