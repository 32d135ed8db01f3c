import type { IncomingMessage } from 'node:http';

/** A caller whose body nobody wants may go on sending it for this long, so that it reads the answer. */
const DISCARD_PATIENCE_MS = 5_000;

/**
 * The whole body, or undefined as soon as it is larger than allowed: whatever its content-length says, or when it has
 * none. Throws when the caller breaks off.
 */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Buffer[] | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Without iterator(), leaving the loop would break the connection before the answer is sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    bytes += chunk.length;
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  return chunks;
}

/** Reads on without keeping anything, so that the answer arrives and the connection can be used again. */
export function discardBody(request: IncomingMessage): void {
  request.resume();
  const timer = setTimeout(() => request.destroy(), DISCARD_PATIENCE_MS);
  request.once('close', () => clearTimeout(timer));
}
