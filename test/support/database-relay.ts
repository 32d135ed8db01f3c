import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import pg from 'pg';

/** Stands between the service and a database, and can be told to say nothing more. */
export interface DatabaseRelay extends AsyncDisposable {
  url: string;
  /** From now on whoever asks waits for ever, also on new connections: as when a server hangs or its network is cut. */
  fallSilent(): void;
}

export async function startDatabaseRelay(databaseUrl: string): Promise<DatabaseRelay> {
  const { host, port } = new pg.Client({ connectionString: databaseUrl });
  const sockets = new Set<Socket>();
  let isSilent = false;
  const relay = createServer((caller) => {
    sockets.add(caller.on('error', () => undefined));
    if (isSilent) return;
    const server = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
    sockets.add(server.on('error', () => caller.destroy()));
    caller.on('data', (data) => isSilent || server.write(data));
    server.on('data', (data) => isSilent || caller.write(data));
    caller.on('close', () => server.destroy());
    server.on('close', () => isSilent || caller.destroy());
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(relay.address() as AddressInfo).port}`;
  return {
    url: url.href,
    fallSilent() {
      isSilent = true;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    },
  };
}
