import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { SandboxRequest } from '../http.ts';

/** Of one import, one call of track and one of engage. */
export const MAX_RECORDS = 2_000;

export interface Records {
  records: unknown[];
  bytes: number;
  /** They came as a parameter `data`, in base64 or not. */
  isParameter: boolean;
}

export type Batch = Records | { fault: 'too large' | 'unreadable' | 'content type' };

/** What is sent to Mixpanel: a JSON array, one record a line, or a parameter; compressed or not. No more is uncompressed than may be. */
export async function readBatch(request: SandboxRequest, maxBytes: number): Promise<Batch> {
  const { 'content-encoding': encoding = 'identity', 'content-type': type = 'application/json' } =
    request.headers;
  let { bytes } = request;
  if (encoding === 'gzip') {
    try {
      bytes = await promisify(gunzip)(bytes, { maxOutputLength: maxBytes });
    } catch (error) {
      const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
      return { fault: isTooLarge ? 'too large' : 'unreadable' };
    }
  } else if (encoding !== 'identity') return { fault: 'unreadable' };
  if (bytes.length > maxBytes) return { fault: 'too large' };
  try {
    const text = bytes.toString('utf8');
    const found = request.method === 'GET' ? fromParameter(request.query) : read(text, type);
    if (found === undefined) return { fault: 'content type' };
    const { records, isParameter } = found;
    return Array.isArray(records) ? { records, isParameter, bytes: bytes.length } : { fault: 'unreadable' };
  } catch {
    return { fault: 'unreadable' };
  }
}

function read(text: string, type: string): { records: unknown; isParameter: boolean } | undefined {
  const [kind = ''] = type.toLowerCase().split(';');
  switch (kind.trim()) {
    case 'application/json':
      return { records: JSON.parse(text), isParameter: false };
    case 'application/x-ndjson': {
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      return { records: lines.map((line) => JSON.parse(line) as unknown), isParameter: false };
    }
    case 'application/x-www-form-urlencoded':
      return fromParameter(new URLSearchParams(text));
    default:
      return undefined;
  }
}

/** One record, or an array of them. Clients do not escape the plus signs of base64. */
function fromParameter(params: URLSearchParams): { records: unknown; isParameter: boolean } {
  const data = params.get('data') ?? '';
  const isJson = /^\s*[[{]/.test(data);
  const given: unknown = JSON.parse(
    isJson ? data : Buffer.from(data.replaceAll(' ', '+'), 'base64').toString('utf8'),
  );
  return { records: Array.isArray(given) ? given : [given], isParameter: true };
}
