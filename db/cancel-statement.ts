import pg from 'pg';

/** What @types/pg leaves out. The key is what PostgreSQL wants to see before it cancels. */
interface Cancellable {
  host: string;
  port: number;
  ssl: pg.ClientConfig['ssl'];
  sslNegotiation: 'postgres' | 'direct';
  processID: number;
  secretKey: unknown;
}

interface CancelConnection {
  stream: { destroy(): void };
  connect(port: number | string, host?: string): void;
  requestSsl(): void;
  cancel(processId: number, secretKey: unknown): void;
  on(event: string, listener: (error: Error) => void): void;
}

/** A server of ours answers within milliseconds. */
const PATIENCE_MS = 3_000;

/**
 * Asks PostgreSQL to end the statement that the client has under way, on a connection that needs no place among those that
 * it allows. Resolves when the server has passed it on: a statement that is sent after that is not meant. Throws when the
 * server could not be asked.
 */
export function cancelStatement(client: pg.ClientBase): Promise<void> {
  const { host, port, ssl, sslNegotiation, processID, secretKey } = client as unknown as Cancellable;
  return new Promise((resolve, reject) => {
    const connection = new pg.Connection({ ssl, sslNegotiation } as never) as unknown as CancelConnection;
    const timer = setTimeout(() => {
      reject(new Error(`The database server did not take a cancel request within ${PATIENCE_MS / 1000} s.`));
      connection.stream.destroy();
    }, PATIENCE_MS);
    const send = () => connection.cancel(processID, secretKey);
    connection.on('connect', () => (ssl ? sslNegotiation !== 'direct' && connection.requestSsl() : send()));
    connection.on('sslconnect', send);
    connection.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
      connection.stream.destroy();
    });
    connection.on('end', () => {
      clearTimeout(timer);
      resolve();
    });
    // As pg itself: a host that begins with a slash is the directory of a socket.
    if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`);
    else connection.connect(port, host);
  });
}
