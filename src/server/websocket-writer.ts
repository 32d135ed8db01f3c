import type { WebSocket } from 'ws';
import type { Listener, Pushed } from '../sync/mailbox.ts';
import type { Answer } from './executor.ts';
import type { Connection } from './websocket-connection.ts';

/** A watcher that has this much unread is not written to until it has read. */
const MAX_UNREAD_BYTES = 64 * 1024;
const DRAIN_POLL_MS = 50;
/** The close code of a caller who is over a bound; graphql-ws does not try again after it. */
export const TOO_MANY = 4429;

const OVER: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Writes each answer as a message of the protocol, with its text as it is: all who are shown the same share it. The iteration
 * gives nothing, and ends with the answers. A class, because there are ten thousand of them.
 */
export class AnswerWriter implements AsyncIterableIterator<never>, Listener<Answer> {
  readonly #connection: Connection;
  readonly #answers: Pushed<Answer> | Answer;
  /** A character for each byte. */
  readonly #begin: string;
  readonly #onEnd: () => void;
  /** Ends the iteration. */
  #finish: ((step: typeof OVER) => void) | undefined;
  #isOver = false;

  /** The id is the operation's, as the caller named it. */
  constructor(connection: Connection, id: string, answers: Pushed<Answer> | Answer, onEnd: () => void) {
    this.#connection = connection;
    this.#answers = answers;
    this.#begin = bytesOf(`{"id":${JSON.stringify(id)},"type":"next","payload":`);
    this.#onEnd = onEnd;
  }

  /** Pending as long as somebody watches, so it is no async function, whose frame would be kept. */
  next(): Promise<IteratorResult<never>> {
    if (this.#isOver) return Promise.resolve(OVER);
    return new Promise((resolve) => {
      this.#finish = resolve;
      if (!('text' in this.#answers)) return this.#answers.tellEach(this);
      const written = this.tell(this.#answers);
      if (written) void written.then(() => this.end());
      else this.end();
    });
  }

  tell(answer: Answer): void | Promise<void> {
    const connection = this.#connection;
    if (this.#isOver || connection.readyState !== connection.OPEN) return;
    const payload = payloadOf(answer);
    // In one write: the header of the frame, and the message that shares its larger part with others.
    connection.stream.write(
      `${frameHeader(this.#begin.length + payload.length)}${this.#begin}${payload}`,
      'latin1',
    );
    // Newer snapshots replace older ones while they wait with the source instead of in the socket.
    if (connection.bufferedAmount > MAX_UNREAD_BYTES) return untilRead(connection, Number.POSITIVE_INFINITY);
  }

  end(): void {
    if (!this.#isOver) this.#onEnd();
    this.#isOver = true;
    this.#finish?.(OVER);
  }

  async return(): Promise<IteratorResult<never>> {
    this.end();
    if (!('text' in this.#answers)) await this.#answers.return?.();
    return OVER;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** The rest of the message, made once for all who are shown the answer. */
const payloads = new WeakMap<Answer, string>();

function payloadOf(answer: Answer): string {
  let payload = payloads.get(answer);
  if (payload === undefined) {
    payload = bytesOf(`${answer.text}}`);
    payloads.set(answer, payload);
  }
  return payload;
}

/** UTF-8 with a character for each byte: what is ASCII, as nearly all is, is not copied. */
function bytesOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** The header of a text frame that is whole and not masked (RFC 6455, section 5.2), a character for each byte. */
function frameHeader(length: number): string {
  if (length < 126) return String.fromCharCode(0x81, length);
  if (length < 0x1_0000) return String.fromCharCode(0x81, 126, length >> 8, length & 0xff);
  const header = Buffer.alloc(10);
  header.writeUInt16BE(0x817f);
  header.writeBigUInt64BE(BigInt(length), 2);
  return header.toString('latin1');
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
