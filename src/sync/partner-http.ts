import { Agent, type Dispatcher, interceptors, request as send } from 'undici';

/** Answers larger than this are not read to their end. */
const MAX_BODY_BYTES = 64 * 1024 * 1024;

/** Connections are kept open between requests. Time-outs are each request's own. */
const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0 }).compose(interceptors.decompress());

type Headers = Dispatcher.ResponseData['headers'];

export interface PartnerRequest {
  url: string;
  method: 'GET' | 'POST' | 'DELETE';
  headers: Record<string, string>;
  body?: string | Buffer;
  /** For the whole exchange, body included. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface PartnerResponse {
  status: number;
  /** By their names in lower case. */
  headers: Headers;
  body: Buffer;
}

/**
 * One HTTP exchange. Redirections are not followed. Throws whatever undici throws; a time-out is a DOMException named
 * TimeoutError.
 */
export async function exchange(request: PartnerRequest): Promise<PartnerResponse> {
  const response = await openExchange(request);
  return { status: response.statusCode, headers: response.headers, body: await readBody(response.body) };
}

/** The same with the body unread, to be read or destroyed; the time-out goes on meanwhile. */
export function openExchange(request: PartnerRequest): Promise<Dispatcher.ResponseData> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  return send(request.url, {
    dispatcher,
    method: request.method,
    headers: { 'user-agent': 'cohort-sync', 'accept-encoding': 'gzip, deflate', ...request.headers },
    body: request.body ?? null,
    signal: request.signal ? AbortSignal.any([timeout, request.signal]) : timeout,
  });
}

export async function readBody(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error(`The answer is larger than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** As UTF-8, without a byte order mark. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** A partner's own words, without what could name a person or a key, and short. */
export function quote(text: string): string {
  return text
    .replace(/<[^>]*>/g, ' ')
    .replace(/[^\s"'<>(),;:]+@[^\s"'<>(),;:]+/g, '[e-mail]')
    .replace(/\b[0-9a-f]{24,}\b/gi, '[key]')
    .replace(/\b(user ?ids?)\s*[:=]\s*\S+/gi, '$1: [userId]')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .slice(0, 200);
}

/** Retry-After, in seconds or as a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const value = headers['retry-after'];
  if (typeof value !== 'string') return undefined;
  const seconds = Number(value);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000);
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - Date.now());
}

/** Why an exchange did not come about, in words. */
export function failureText(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer in time';
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? `the connection failed (${code})` : 'the connection failed';
}
