import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { SandboxRequest } from '../http.ts';

/** Of one import. */
export const MAX_EVENTS = 2_000;

export type Batch = { records: unknown[]; bytes: number } | { fault: 'too large' | 'unreadable' };

/** The records of an import: a JSON array or one a line, compressed or not. No more is uncompressed than it may have. */
export async function readBatch(request: SandboxRequest, maxBytes: number): Promise<Batch> {
  let { bytes } = request;
  if (request.headers['content-encoding'] === 'gzip') {
    try {
      bytes = await promisify(gunzip)(bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      return { fault: isTooLarge ? 'too large' : 'unreadable' };
    }
  }
  if (bytes.length > maxBytes) return { fault: 'too large' };
  const isLines = request.headers['content-type']?.includes('ndjson') === true;
  try {
    const text = bytes.toString('utf8');
    const records: unknown = isLines
      ? text
          .split('\n')
          .filter((line) => line.trim() !== '')
          .map((line) => JSON.parse(line) as unknown)
      : JSON.parse(text);
    return Array.isArray(records) ? { records, bytes: bytes.length } : { fault: 'unreadable' };
  } catch {
    return { fault: 'unreadable' };
  }
}
