import type pg from 'pg';

/** Marks the parameters of a hot statement; Kysely hands them to the connection as they are. */
const HOT = Symbol('hot');

interface HotParameters extends Array<unknown> {
  [HOT]?: { name: string | undefined };
}

/** The parameters of a statement that is to be prepared under this name, if any, and whose rows come as arrays. */
export function asHot(parameters: unknown[], name: string | undefined): unknown[] {
  (parameters as HotParameters)[HOT] = { name };
  return parameters;
}

/**
 * Makes a connection know hot statements. Without isNamed they are sent as any other, for a pooler in front of PostgreSQL
 * that gives each transaction another connection.
 */
export function serveHotStatements(client: pg.ClientBase, { isNamed }: { isNamed: boolean }): void {
  const query = client.query as (...args: unknown[]) => unknown;
  client.query = function (this: pg.ClientBase, text: unknown, values?: HotParameters, ...rest: unknown[]) {
    const hot = values?.[HOT];
    if (!hot) return query.call(this, text, values, ...rest);
    return query.call(this, { text, values, rowMode: 'array', ...(isNamed && { name: hot.name }) });
  } as typeof client.query;
}
