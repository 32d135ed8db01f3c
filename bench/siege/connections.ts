import { setTimeout as sleep } from 'node:timers/promises';
import { call, inTurns, openSocket, requestBytes } from './raw-http.ts';
import { note, type Target, type Told } from './target.ts';

/** Upgrade requests whose connection is reset at once. */
export async function resetUpgrades(target: Target, { count = 1_000 } = {}): Promise<Told> {
  const told: Told = {};
  const paths = ['/graphql', '/', '/health'];
  const upgrades = paths.map((path) => requestBytes(`GET ${path}`, { connection: 'Upgrade', upgrade: 'x' }));
  await inTurns(count, 20, async (index) => {
    const socket = await openSocket(target);
    await new Promise((resolve) => socket.write(upgrades[index % paths.length]!, resolve));
    socket.resetAndDestroy();
    note(told, 'reset');
  });
  return told;
}

/** Bodies of which a byte comes each second. */
export async function drippedBodies(
  target: Target,
  { sockets = 200, patienceMs = 50_000, everyMs = 1_000 } = {},
): Promise<Told> {
  const told: Told = {};
  const head = requestBytes('POST /graphql', {
    authorization: `Bearer ${target.token}`,
    'content-type': 'application/json',
    'content-length': '10000',
  });
  await inTurns(sockets, sockets, async () => {
    const socket = await openSocket(target);
    let status = 'still open at the end';
    socket.on('data', (chunk) => {
      status = /^HTTP\/1\.1 (\d{3})/.exec(chunk.toString('latin1'))?.[1] ?? status;
    });
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    closed.then(() => {
      if (!/^\d/.test(status)) status = 'closed';
    });
    socket.write(head);
    const drip = setInterval(() => socket.write(' '), everyMs);
    const waiting = new AbortController();
    await Promise.race([
      closed,
      sleep(patienceMs, undefined, { signal: waiting.signal }).catch(() => undefined),
    ]);
    waiting.abort();
    clearInterval(drip);
    note(told, status);
    socket.destroy();
  });
  return told;
}

/** A Host that no address can be made of: it is refused without a stack of ours. */
export async function brokenHost(target: Target): Promise<Told> {
  const told: Told = {};
  for (const path of ['/graphql', '/', '/health']) {
    const { told: status, body } = await call(target, path, {
      headers: { host: '[::', authorization: `Bearer ${target.token}` },
      ...(path === '/graphql' ? { body: '{"query":"{ viewer { role } }"}' } : {}),
    });
    note(told, /\n\s+at /.test(body) || body.includes('node_modules') ? `${status} with a stack` : status);
  }
  return told;
}
