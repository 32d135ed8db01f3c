import pg from 'pg';

/** Class 08: connection; 57P: the server shuts down or starts; 53: out of connections or disk; 40: try again. */
const PASSING_CLASSES = /^(08|57P|53|40)/;
const SOCKET_CODES = new Set(['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EAI_AGAIN']);

/** True when the database could not be reached or could not do it now: the work is to be taken up again later. */
export function isDatabaseError(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return PASSING_CLASSES.test(error.code ?? '');
  // Each of the addresses that the host's name stands for was tried.
  if (error instanceof AggregateError) return error.errors.some(isDatabaseError);
  if (!(error instanceof Error)) return false;
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code !== undefined && SOCKET_CODES.has(code)) return syscall !== undefined;
  return /^Connection terminated|^timeout exceeded when trying to connect|^Client has encountered a connection error/.test(
    error.message,
  );
}
