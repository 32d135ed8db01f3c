import { Agent, type Dispatcher, EnvHttpProxyAgent, interceptors, request as send } from 'undici';
import { parseJson } from '../json.ts';
import { exceedsBounds } from './json-bounds.ts';

/** What a partner says of a failure. The longest that is read is Mixpanel's of an import: 2,000 events with a reason each. */
const MAX_ERROR_BYTES = 1024 * 1024;
/** No sentence is longer, and a pattern may take the square of it: 100,000 letters would hold everybody up for seconds. */
const MAX_WORDS = 2_000;

/** Loopback is this machine's own, whatever stands between it and the world. */
const NEVER_PROXIED = ['localhost', '127.0.0.1', '::1'];

/** Connections are kept open between requests. Time-outs are each request's own. */
const dispatcher = createAgent().compose(interceptors.decompress());

/** By way of HTTPS_PROXY (HTTP_PROXY for addresses without TLS), when it is set, but for what NO_PROXY names. */
function createAgent(): Dispatcher {
  const options = { headersTimeout: 0, bodyTimeout: 0 };
  const { env } = process;
  if (!(env.https_proxy || env.HTTPS_PROXY || env.http_proxy || env.HTTP_PROXY)) return new Agent(options);
  const noProxy = [env.no_proxy ?? env.NO_PROXY ?? '', ...NEVER_PROXIED].join(',');
  return new EnvHttpProxyAgent({ ...options, noProxy });
}

type Headers = Dispatcher.ResponseData['headers'];

export interface PartnerRequest {
  url: string;
  method: 'GET' | 'POST' | 'DELETE';
  headers: Record<string, string>;
  body?: string | Buffer;
  /** For the whole exchange, body included. */
  timeoutMs: number;
  /** Of the answer, unpacked: with more of it the exchange fails. */
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
 * TimeoutError. Of an answer that is no success the beginning is read.
 */
export async function exchange(
  request: PartnerRequest & {
    /** Of the answer, unpacked: one that is larger fails the exchange. */
    maxBytes: number;
  },
): Promise<PartnerResponse> {
  const response = await openExchange(request);
  const { statusCode: status, headers, body } = response;
  if (!isSuccess(status)) return { status, headers, body: await readErrorBody(body) };
  return { status, headers, body: await readBody(body, request.maxBytes) };
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
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

async function readBody(body: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`The answer is larger than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, bytes);
}

/** The beginning of what a partner says of a failure. The rest is not waited for. */
export async function readErrorBody(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes >= MAX_ERROR_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, MAX_ERROR_BYTES);
}

/** 40,000 people with some twenty values each; built, it takes some 100 MB. */
const JSON_BOUNDS = { maxNodes: 1_000_000, maxDepth: 100 };

/** The JSON of an answer. Throws SyntaxError, also when so much would come of it that memory might not suffice. */
export function parseAnswer(bytes: Buffer): unknown {
  const exceeded = exceedsBounds(bytes, JSON_BOUNDS);
  if (exceeded !== undefined) throw new SyntaxError(`The answer is too large to be read (${exceeded}).`);
  return parseJson(decodeText(bytes));
}

/** As UTF-8, without a byte order mark. */
export function decodeText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** As much of a partner's words as any pattern may look at. A last word that may not be whole is left out. */
export function cutWords(text: string): string {
  if (text.length <= MAX_WORDS) return text;
  const words = text.slice(0, MAX_WORDS);
  const end = words.lastIndexOf(' ');
  return end < 0 ? words : words.slice(0, end);
}

/** Of a partner's words. */
const MAX_QUOTED = 200;

/** A partner's own words, without what could name a person or a key, and short: cut between two words. */
export function quote(text: string): string {
  const said = cleanWords(text);
  if (said.length <= MAX_QUOTED) return said;
  const end = said.lastIndexOf(' ', MAX_QUOTED);
  return `${said.slice(0, end < 0 ? MAX_QUOTED : end)} …`;
}

function cleanWords(text: string): string {
  return cutWords(text)
    .replace(/<[^<>]*>/g, ' ')
    .replace(/(?<![^\s"'<>(),;:])[^\s"'<>(),;:]+@[^\s"'<>(),;:]+/g, '[e-mail]')
    .replace(/\b[0-9a-f]{24,}\b/gi, '[key]')
    .replace(/\b(user ?ids?)\s*[:=]\s*\S+/gi, '$1: [userId]')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim();
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
  const { code, hostname, address, port } = causeOf(error);
  if (code === undefined) return 'the connection failed';
  const host = hostname ?? address ?? 'the host';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `nobody knows an address for ${host} (${code}); check that name, and the DNS and network of this machine`;
  }
  if (code === 'ECONNREFUSED') {
    return `nothing answers at ${address ?? host}${port ? `:${port}` : ''} (${code}); check that address, and what is in between`;
  }
  if (code === 'ENETUNREACH' || code === 'EHOSTUNREACH') {
    return `there is no way to ${host} (${code}); check the network of this machine, and HTTPS_PROXY if it needs a proxy`;
  }
  if (CERTIFICATE_CODES.test(code)) {
    return `the certificate is not trusted (${code}); if a proxy of yours is in between, name its certificate in NODE_EXTRA_CA_CERTS`;
  }
  return `the connection failed (${code})`;
}

const CERTIFICATE_CODES = /^(ERR_TLS_CERT|CERT_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_)/;

/** Whether somebody has to see to it: trying again is of no use. */
function isOfSetup(error: unknown): boolean {
  const { code = '' } = causeOf(error);
  return /^(ENOTFOUND|ECONNREFUSED|ENETUNREACH|EHOSTUNREACH)$/.test(code) || CERTIFICATE_CODES.test(code);
}

interface NetworkError {
  code?: string;
  hostname?: string;
  address?: string;
  port?: number;
}

/** What went wrong below the errors that were made of it; of several addresses that were tried, at the first. */
function causeOf(error: unknown): NetworkError {
  let inner: unknown = error;
  for (let depth = 0; depth < 5; depth++) {
    if (inner instanceof AggregateError && inner.errors.length > 0) inner = inner.errors[0];
    else if (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  }
  const found = (inner ?? {}) as NetworkError;
  return typeof found.code === 'string' ? found : {};
}

/** Advice to try again, where that may help. */
export function retryAdvice(error: unknown): string {
  return isOfSetup(error) ? '' : ' Try again in a moment.';
}
