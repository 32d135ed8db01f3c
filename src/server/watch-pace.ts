import type { IncomingMessage } from 'node:http';

/** Slower than any line over which people upload files; a body at this pace is there to hold a place. */
const MIN_BYTES_PER_SECOND = 1_000;

/**
 * Calls onSlow once less comes in a window of time than a slow line carries. A window in which we ourselves made the caller
 * wait does not count. Returns a function that ends the watch.
 */
export function watchPace(request: IncomingMessage, windowMs: number, onSlow: () => void): () => void {
  let bytes = 0;
  let hasWaited = false;
  const count = (chunk: Buffer) => {
    bytes += chunk.length;
  };
  const noteWait = () => {
    hasWaited = true;
  };
  const timer = setInterval(() => {
    const isSlow = bytes < (MIN_BYTES_PER_SECOND * windowMs) / 1000 && !hasWaited;
    bytes = 0;
    hasWaited = request.isPaused();
    if (isSlow) onSlow();
  }, windowMs);
  request.on('data', count).on('pause', noteWait);
  return () => {
    clearInterval(timer);
    request.off('data', count).off('pause', noteWait);
  };
}
