import { setTimeout as sleep } from 'node:timers/promises';
import { openSocket, pipeline, requestBytes } from './raw-http.ts';
import { note, type Target, type Told } from './target.ts';

const PAGE = requestBytes('GET /graphql', { accept: 'text/html' });

/** Sockets that ask for the page of GraphiQL, without a token, and read nothing of it. */
export async function unreadPages(target: Target, { sockets = 30, holdMs = 10_000 } = {}): Promise<Told> {
  const told: Told = {};
  const opened = await Promise.all(Array.from({ length: sockets }, () => openSocket(target)));
  for (const socket of opened) {
    socket.pause();
    socket.write(PAGE);
  }
  await sleep(holdMs);
  for (const socket of opened) {
    note(told, socket.destroyed ? 'closed' : 'still open at the end');
    socket.destroy();
  }
  return told;
}

/** The page again and again on one connection, without waiting for an answer. */
export async function pipelinedPages(target: Target, { count = 300 } = {}): Promise<Told> {
  const told: Told = {};
  await pipeline(target, PAGE, count, told);
  return told;
}
