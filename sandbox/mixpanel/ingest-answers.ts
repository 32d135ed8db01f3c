import type { SandboxReply, SandboxRequest } from '../http.ts';
import { type Batch, MAX_RECORDS, type Records } from './read-batch.ts';

/** What became of the records of one request. */
export interface Outcome {
  good: number;
  failed: RecordFailure[];
  /** Good ones whose token is of no project: nobody is told. */
  lost: number;
}

/** Of a request as a whole. */
export interface Refusal {
  code: number;
  error: string;
  status: string;
}

export interface RecordFailure {
  index: number;
  field: string;
  message: string;
}

/** As tracking and updates of profiles are answered: 1 when any record is good, 0 when none is. */
export function answerOutcome(
  { query }: Pick<SandboxRequest, 'query'>,
  { good, failed }: Pick<Outcome, 'good' | 'failed'>,
): SandboxReply {
  const isStrict = query.get('strict') === '1';
  if (isStrict && failed.length > 0) return refuseRecords(good, failed);
  const status = good > 0 ? 1 : 0;
  if (query.get('verbose') === '1') {
    return { status: 200, body: { error: status === 1 ? '' : (failed[0]?.message ?? ''), status } };
  }
  if (isStrict) return accept(good);
  return { status: 200, headers: { 'content-type': 'text/plain' }, body: String(status) };
}

/** The records of a batch, or why nothing of it can be taken. */
export function openBatch(batch: Batch, maxBytes: number): Records | Refusal {
  if ('fault' in batch) {
    if (batch.fault === 'too large') return tooLarge(`${maxBytes} bytes`);
    return badRequest(
      batch.fault === 'content type'
        ? 'Content-Type must be application/json or application/x-ndjson'
        : 'unable to parse the request body',
    );
  }
  if (batch.records.length > MAX_RECORDS) return tooLarge(`${MAX_RECORDS} events`);
  return batch.records.length > 0 ? batch : badRequest('the request body must have at least one record');
}

export function accept(count: number): SandboxReply {
  return { status: 200, body: { code: 200, num_records_imported: count, status: 'OK' } };
}

export function refuse(refusal: Refusal): SandboxReply {
  return { status: refusal.code, body: refusal };
}

export function refuseRecords(importedCount: number, failed: unknown[]): SandboxReply {
  return {
    status: 400,
    body: {
      code: 400,
      error: 'some data points in the request failed validation',
      status: 'Bad Request',
      num_records_imported: importedCount,
      failed_records: failed,
    },
  };
}

function badRequest(error: string): Refusal {
  return { code: 400, error, status: 'Bad Request' };
}

function tooLarge(limit: string): Refusal {
  return { code: 413, error: `request exceeds max limit of ${limit}`, status: 'Request Entity Too Large' };
}
