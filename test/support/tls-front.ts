import { readFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { createServer, getCACertificates, setDefaultCACertificates } from 'node:tls';

/** A certificate for 127.0.0.1 with its key: nobody's, for as long as the tests run. */
const PEM = readFileSync(join(import.meta.dirname, 'loopback.pem'), 'utf8');

/** Puts TLS in front of a plain server on loopback; while it is there, this process trusts it. */
export async function startTlsFront(url: string): Promise<AsyncDisposable & { host: string }> {
  const trusted = getCACertificates('default');
  setDefaultCACertificates([...trusted, PEM]);
  const { hostname, port } = new URL(url);
  const open = new Set<{ destroy(): void }>();
  const server = createServer({ key: PEM, cert: PEM }, (incoming) => {
    const outgoing = connect(Number(port), hostname);
    for (const socket of [incoming, outgoing]) {
      open.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => open.delete(socket));
    }
    incoming.pipe(outgoing).pipe(incoming);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      setDefaultCACertificates(trusted);
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
