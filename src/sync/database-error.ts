import pg from 'pg';
import { TooManyWaitingError } from '../../db/fair-slots.ts';
import { CohortSyncError } from '../errors.ts';

/** Class 08: connection; 57P: the server shuts down or starts; 53: out of connections or disk; 40: try again. */
const PASSING_CLASSES = /^(08|57P|53|40)/;
const SOCKET_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']);

/** SQLSTATEs of what db/session-limits.ts bounds: a statement, the wait for a lock, a transaction that does nothing. */
const LIMIT_CODES = new Set(['57014', '55P03', '25P03']);

/** True when the database could not be reached or could not do it now: the work is to be taken up again later. */
export function isDatabaseError(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return PASSING_CLASSES.test(error.code ?? '') || isLimit(error);
  // Each of the addresses that the host's name stands for was tried.
  if (error instanceof AggregateError) return error.errors.some(isDatabaseError);
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code !== undefined && SOCKET_CODES.has(code)) return syscall !== undefined;
  return /^Connection terminated|^timeout exceeded when trying to connect|^Client has encountered a connection error/.test(
    error.message,
  );
}

/** What a caller is told whose operation took longer than it may, or found no connection; undefined for other errors. */
export function busyErrorOf(error: unknown): CohortSyncError | undefined {
  if (!(error instanceof TooManyWaitingError) && !isLimit(error)) return undefined;
  return new CohortSyncError('RATE_LIMITED', 'The database is busy. Try again in a moment.', {
    cause: error,
    extensions: { retryAfterSeconds: 1 },
  });
}

function isLimit(error: unknown): boolean {
  return error instanceof pg.DatabaseError && LIMIT_CODES.has(error.code ?? '');
}
