import type { WebSocket } from 'ws';
import type { Answer } from './executor.ts';

/** A watcher that has this much unread is not written to until it has read. */
const MAX_UNREAD_BYTES = 64 * 1024;
const DRAIN_POLL_MS = 50;
/** The close code of a caller who is over a bound; graphql-ws does not try again after it. */
export const TOO_MANY = 4429;

/**
 * Writes each answer as a message of the protocol, with its text as it is: all who are shown the same share it. The iteration
 * gives nothing, and ends with the answers.
 */
export function writeAnswers(
  socket: WebSocket,
  id: string,
  answers: AsyncIterator<Answer>,
): AsyncIterableIterator<never> {
  const head = `{"id":${JSON.stringify(id)},"type":"next","payload":`;
  let isOver = false;
  const written: AsyncIterableIterator<never> = {
    async next() {
      while (!isOver) {
        const step = await answers.next();
        if (step.done || isOver) break;
        await send(socket, `${head}${step.value.text}}`);
        // Newer snapshots replace older ones while they wait with the source instead of in the socket.
        if (socket.bufferedAmount > MAX_UNREAD_BYTES) await untilRead(socket, Number.POSITIVE_INFINITY);
      }
      return { done: true, value: undefined };
    },
    async return() {
      isOver = true;
      await answers.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => written,
  };
  return written;
}

export async function* once(answer: Answer): AsyncIterator<Answer> {
  yield answer;
}

export function send(socket: WebSocket, data: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket.readyState !== socket.OPEN) return resolve();
    socket.send(data, (error) => (error ? reject(error) : resolve()));
  });
}

/** Returns when the caller has read what it was sent, but for a little. Throws RefusalError after the patience. */
export async function untilRead(socket: WebSocket, patienceMs: number): Promise<void> {
  const begun = performance.now();
  while (socket.bufferedAmount > MAX_UNREAD_BYTES && socket.readyState === socket.OPEN) {
    if (performance.now() - begun > patienceMs) {
      socket.close(TOO_MANY, 'Answers are not read.');
      socket.terminate();
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
  }
}
