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

/** Sends a hot statement on a connection that it finds itself. A shared one may be sent once for all who ask the same. */
export type HotSender = (
  text: string,
  values: unknown[],
  options: { isShared: boolean },
) => Promise<Pick<pg.QueryResult, 'rows'>>;

const SENDER = Symbol('sender');

interface MaySend {
  [SENDER]?: HotSender;
}

/** Hot statements of this Kysely, unless they are of a transaction, go past it: each of its steps is a promise or two. */
export function sendHotWith<Client extends object>(db: Client, sender: HotSender): Client {
  (db as MaySend)[SENDER] = sender;
  return db;
}

export function hotSenderOf(db: object): HotSender | undefined {
  return (db as MaySend)[SENDER];
}

/**
 * Makes a connection know hot statements. Without isNamed they are sent as any other, for a pooler in front of PostgreSQL
 * that gives each transaction another connection.
 *
 * Promises are made here and not by pg: V8 puts a function that is assigned to a property, as pg assigns the one that
 * settles its promise, among the old objects at once, so each result would stay until a full garbage collection.
 */
export function serveHotStatements(client: pg.ClientBase, { isNamed }: { isNamed: boolean }): void {
  const query = client.query as (...args: unknown[]) => unknown;
  client.query = function (this: pg.ClientBase, text: unknown, values?: HotParameters, ...rest: unknown[]) {
    const hasCallback = typeof values === 'function' || rest.length > 0;
    if (hasCallback || typeof (text as pg.Submittable | null)?.submit === 'function') {
      return query.call(this, text, values, ...rest);
    }
    const hot = values?.[HOT];
    const statement = hot ? { text, values, rowMode: 'array', ...(isNamed && { name: hot.name }) } : text;
    return new Promise((resolve, reject) => {
      query.call(this, statement, hot ? undefined : values, (error: unknown, result: unknown) =>
        error ? reject(error) : resolve(result),
      );
    }).catch((error) => {
      // Where it was asked, in place of where the answer was read.
      Error.captureStackTrace(error);
      throw error;
    });
  } as typeof client.query;
}
