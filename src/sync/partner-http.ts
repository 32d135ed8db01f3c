/** Answers larger than this are not read to their end. */
const MAX_TEXT_BYTES = 64 * 1024 * 1024;

export interface PartnerRequest {
  url: string;
  method: 'GET' | 'POST' | 'DELETE';
  headers: Record<string, string>;
  body?: string;
  /** For the whole exchange, body included. */
  timeoutMs: number;
  signal?: AbortSignal | undefined;
}

export interface PartnerResponse {
  status: number;
  headers: Headers;
  text: string;
}

/** One HTTP exchange. Throws whatever fetch throws; a time-out is a DOMException named TimeoutError. */
export async function exchange(request: PartnerRequest): Promise<PartnerResponse> {
  const response = await openExchange(request);
  return { status: response.status, headers: response.headers, text: await readText(response) };
}

/** The same with the body unread; the time-out goes on while it is read. */
export function openExchange(request: PartnerRequest): Promise<Response> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  return fetch(request.url, {
    method: request.method,
    headers: { 'user-agent': 'cohort-sync', ...request.headers },
    ...(request.body === undefined ? {} : { body: request.body }),
    signal: request.signal ? AbortSignal.any([timeout, request.signal]) : timeout,
    redirect: 'manual',
  });
}

async function readText(response: Response): Promise<string> {
  if (!response.body) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_TEXT_BYTES) throw new Error(`The answer is larger than ${MAX_TEXT_BYTES} bytes.`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
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
  const value = headers.get('retry-after');
  if (value === null) return undefined;
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
