import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { z } from 'zod';
import {
  decodeText,
  exchange,
  failureText,
  type PartnerResponse,
  parseAnswer,
  quote,
  retryAfterMs,
} from '../sync/partner-http.ts';

const compress = promisify(gzip);
const TIMEOUT_MS = 60_000;
/** 2,000 events, with a reason for each that is refused. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** What Mixpanel says of a batch. */
export type ImportAnswer =
  /** imported of them; failures are those that it names, by their places in the batch. */
  | { kind: 'TAKEN'; imported: number; failures: { index: number; message: string }[]; message: string }
  | { kind: 'TOO_LARGE'; message: string }
  /** Credentials, their role, the plan, or the request as such: nothing is taken before somebody sees to it. */
  | { kind: 'REFUSED'; message: string }
  | { kind: 'BUSY'; message: string; retryAfterMs: number | undefined };

/** Mixpanel's /import as one project's service account. */
export interface ImportClient {
  /** One request, never repeated. Rejects only with the signal's reason. */
  importEvents(records: readonly string[], signal: AbortSignal): Promise<ImportAnswer>;
}

/** insertId: by which it is found when there is no index; elements may also be mere text. */
const failedRecord = z.union([
  z.string().transform((message) => ({ index: undefined, insertId: undefined, message })),
  z
    .object({
      index: z.int().min(0).nullish(),
      insert_id: z.string().nullish(),
      $insert_id: z.string().nullish(),
      field: z.string().nullish(),
      message: z.string().nullish(),
    })
    .transform(({ index, insert_id, $insert_id, field, message }) => ({
      index: index ?? undefined,
      insertId: insert_id ?? $insert_id ?? undefined,
      message: [field, message].filter(Boolean).join(': '),
    })),
]);
const answer = z.object({
  num_records_imported: z.int().min(0).nullish(),
  failed_records: z.array(failedRecord).nullish(),
  error: z.unknown().optional(),
});

export function createImportClient(connection: {
  baseUrl: string;
  projectId: string;
  username: string;
  secret: string;
  timeoutMs?: number;
}): ImportClient {
  const { baseUrl, projectId, username, secret, timeoutMs = TIMEOUT_MS } = connection;
  const url = `${baseUrl}/import?strict=1&project_id=${encodeURIComponent(projectId)}`;
  const headers = {
    authorization: `Basic ${Buffer.from(`${username}:${secret}`).toString('base64')}`,
    'content-type': 'application/json',
    'content-encoding': 'gzip',
    accept: 'application/json',
  };
  return {
    async importEvents(records, signal) {
      const body = await compress(`[${records.join(',')}]`);
      try {
        const response = await exchange({
          url,
          method: 'POST',
          headers,
          body,
          timeoutMs,
          maxBytes: MAX_ANSWER_BYTES,
          signal,
        });
        return readAnswer(response, records);
      } catch (error) {
        signal.throwIfAborted();
        return { kind: 'BUSY', message: `Mixpanel: ${failureText(error)}.`, retryAfterMs: undefined };
      }
    },
  };
}

function readAnswer(response: PartnerResponse, records: readonly string[]): ImportAnswer {
  const { status } = response;
  const text = decodeText(response.body);
  const told = parse(response.body);
  const words = quote(typeof told?.error === 'string' ? told.error : text);
  const message = `Mixpanel answered ${status}${words === '' ? '' : ` (${words})`}.`;
  if (status === 413) return { kind: 'TOO_LARGE', message };
  if (status === 401 || status === 402 || status === 403) return { kind: 'REFUSED', message };
  if (status === 200 && told) {
    return toTaken(told, told.num_records_imported ?? records.length, records, message);
  }
  if (status === 400) {
    // A 400 that is no word on events is no reason to give any of them up.
    return told?.failed_records?.length
      ? toTaken(told, told.num_records_imported ?? 0, records, message)
      : { kind: 'REFUSED', message };
  }
  return { kind: 'BUSY', message, retryAfterMs: retryAfterMs(response.headers) };
}

function toTaken(
  told: z.infer<typeof answer>,
  imported: number,
  records: readonly string[],
  message: string,
): ImportAnswer {
  const failures = new Map<number, string>();
  for (const failed of told.failed_records ?? []) {
    const index = failed.index ?? findRecord(records, failed.insertId);
    if (index !== undefined && index < records.length) failures.set(index, quote(failed.message));
  }
  // Of a batch that is refused as a whole the reason is in the first element.
  const [first] = told.failed_records ?? [];
  return {
    kind: 'TAKEN',
    imported,
    failures: [...failures].map(([index, said]) => ({ index, message: said || message })),
    message: first?.message ? quote(first.message) : message,
  };
}

function findRecord(records: readonly string[], insertId: string | undefined): number | undefined {
  if (insertId === undefined) return undefined;
  const name = `"$insert_id":${JSON.stringify(insertId)}`;
  const index = records.findIndex((record) => record.includes(name));
  return index < 0 ? undefined : index;
}

/** Undefined for what is no JSON object. One that is odd otherwise says nothing of failures. */
function parse(body: Buffer): z.infer<typeof answer> | undefined {
  try {
    const json = parseAnswer(body);
    return answer.safeParse(json).data ?? z.object({}).safeParse(json).data;
  } catch {
    return undefined;
  }
}
