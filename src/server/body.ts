import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { finished } from 'node:stream';
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib';
import { RefusalError } from './refusal.ts';

/** A megabyte over a poor mobile line; who takes longer holds a connection for its own sake. */
const BODY_DEADLINE_MS = 30_000;
/** A caller whose body nobody wants may go on sending it for this long, so that it reads the answer. */
const DISCARD_PATIENCE_MS = 5_000;
/** What is left of a body of this size is read faster than a new connection is made. */
const SMALL_BODY_BYTES = 64 * 1024;

const DECODERS: Record<string, (body: Buffer, options: { maxOutputLength: number }) => Buffer> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
};

/** The body of a request is not taken. */
export class BodyError extends RefusalError {
  constructor(status: 400 | 408 | 413 | 415, message: string, fault: { field: string; message: string }) {
    super(status, 'BAD_USER_INPUT', message, {
      extensions: { issues: [{ path: [fault.field], message: fault.message }] },
    });
  }
}

/**
 * The whole body, unpacked. Throws BodyError as soon as it is larger than allowed, packed or not, whatever its
 * content-length says; when it is not whole in time; and when it cannot be unpacked. Throws the request's own error when
 * the caller breaks off.
 */
export async function readBody(
  request: IncomingMessage,
  { maxBytes, deadlineMs = BODY_DEADLINE_MS }: { maxBytes: number; deadlineMs?: number },
): Promise<Buffer> {
  const encoding = request.headers['content-encoding']?.trim().toLowerCase() || 'identity';
  const decode = Object.hasOwn(DECODERS, encoding) ? DECODERS[encoding] : undefined;
  if (!decode && encoding !== 'identity') {
    throw new BodyError(415, 'The encoding of the body is not known.', {
      field: 'content-encoding',
      message: `must be one of ${Object.keys(DECODERS).join(', ')}, or be left out.`,
    });
  }
  const body = await collect(request, maxBytes, deadlineMs);
  if (!decode) return body;
  try {
    // At once, not as it comes in: the window of a decoder (16 MB with brotli) is there once, not for each request.
    return decode(body, { maxOutputLength: maxBytes });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new BodyError(400, `The body is not whole ${encoding}.`, {
      field: 'body',
      message: `must be what content-encoding says: ${encoding}.`,
    });
  }
}

function collect(request: IncomingMessage, maxBytes: number, deadlineMs: number): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const settle = (error: Error | null | undefined) => {
      clearTimeout(timer);
      forget();
      request.off('data', take);
      request.pause();
      if (error) reject(error);
      else resolve(Buffer.concat(chunks));
    };
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > maxBytes) settle(tooLarge(maxBytes));
      else chunks.push(chunk);
    };
    const timer = setTimeout(
      () => settle(tooSlow(`The body was not whole in ${deadlineMs / 1000} s.`)),
      deadlineMs,
    );
    const forget = finished(request, { writable: false }, settle);
    request.on('data', take);
  });
}

function tooLarge(maxBytes: number): BodyError {
  return new BodyError(413, `The body is larger than ${maxBytes} bytes.`, {
    field: 'body',
    message: `must have at most ${maxBytes} bytes.`,
  });
}

export function tooSlow(message: string): BodyError {
  return new BodyError(408, message, { field: 'body', message: 'must come faster.' });
}

/**
 * Sends an answer whether or not the body has come. What is left of a small one is read, and the connection goes on. With a
 * large one the connection ends, but only once its sender has stopped, or had the time to: one that is closed in the face of
 * a sender loses the answer.
 */
export function sendEarly(
  request: IncomingMessage,
  response: ServerResponse,
  answer: { status: number; headers: OutgoingHttpHeaders; text: string },
): void {
  const { status, headers, text } = answer;
  const bodyBytes =
    request.headers['transfer-encoding'] === undefined
      ? Number(request.headers['content-length'] ?? 0)
      : Number.POSITIVE_INFINITY;
  const isOver = request.complete || (bodyBytes <= SMALL_BODY_BYTES && status !== 408);
  response.writeHead(status, {
    ...headers,
    'content-length': Buffer.byteLength(text),
    ...(isOver ? {} : { connection: 'close' }),
  });
  if (isOver) response.end(text);
  else {
    response.write(text);
    request.once('close', () => response.end());
  }
  discardBody(request);
}

/** Reads on without keeping anything, so that the answer arrives and the connection can be used again. */
export function discardBody(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return void request.resume();
  request.resume();
  const timer = setTimeout(() => request.destroy(), DISCARD_PATIENCE_MS);
  request.once('close', () => clearTimeout(timer));
}
