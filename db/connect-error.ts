import pg from 'pg';

/** By SQLSTATE: what PostgreSQL has against a connection, and what to do about it. */
const REFUSALS: Record<string, (url: URL) => string> = {
  '28P01': (url) => `refuses the password of user "${decodeURIComponent(url.username)}"`,
  '28000': (url) => `does not let user "${decodeURIComponent(url.username)}" in`,
  '3D000': (url) => `has no database called "${decodeURIComponent(url.pathname.slice(1))}"; create it`,
  '42501': (url) =>
    `does not let user "${decodeURIComponent(url.username)}" make tables; grant CREATE on the database`,
  '53300': () => 'has no connection left; allow more of them, or end some',
  '53100': () => 'has no room left on its disk; make some',
  '57P03': () => 'is still starting; try again in a moment',
};

/**
 * Why the database cannot be used, for whoever operates it; undefined when the error is about something else. Holds no
 * password.
 */
export function explainConnectError(error: unknown, databaseUrl: string): string | undefined {
  const url = new URL(databaseUrl);
  // A socket's directory may be the host, or named in the query: postgres:///cohorts?host=/var/run/postgresql
  const place = decodeURIComponent(url.host) || url.searchParams.get('host') || 'the default address';
  const { code } = (error ?? {}) as { code?: unknown };
  if (error instanceof pg.DatabaseError) {
    const refusal = REFUSALS[error.code ?? ''];
    return refusal && `the database server at ${place} ${refusal(url)}.`;
  }
  if (typeof code === 'string' && /^(E[A-Z]+|[A-Z_]*CERT[A-Z_]*)$/.test(code)) {
    return `no database server can be reached at ${place} (${code}); start it, or correct the address.`;
  }
  const words = error instanceof Error ? error.message : '';
  if (/timeout exceeded when trying to connect|Connection terminated/.test(words)) {
    return `the database server at ${place} does not answer (${words}).`;
  }
  if (/SSL|SASL/.test(words)) return `the database server at ${place} cannot be talked to: ${words}.`;
  return undefined;
}
