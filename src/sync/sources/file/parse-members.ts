import type { FileReading } from '../../../../db/json-columns.ts';
import { decodeLines } from './decode-lines.ts';
import { createFaults, fileError } from './faults.ts';
import type { FileRow } from './file-row.ts';
import { parseCsv } from './parse-csv.ts';
import { parseNdjson } from './parse-ndjson.ts';

const ROWS_PER_BATCH = 5_000;

/**
 * The people of a CSV file with a header row or of an NDJSON file, some at a time; which of the two it is shows by its
 * first character. Throws BadUserInputError that names the lines at fault, after it has read the whole file. What was
 * understood of it is in the reading, once all of it is read.
 */
export async function* parseMembers(
  bytes: AsyncIterable<Uint8Array>,
  reading: FileReading,
): AsyncIterable<FileRow[]> {
  const faults = createFaults();
  const { first, all } = await peek(decodeLines(bytes, faults));
  if (first === undefined) throw fileError(['the file has no rows.']);
  if (first === '[')
    throw fileError(['line 1: a JSON array is not taken; write one object on each line (NDJSON).']);
  const rows = first === '{' ? parseNdjson(all, faults, reading) : parseCsv(all, faults, reading);
  let batch: FileRow[] = [];
  for await (const row of rows) {
    reading.rows++;
    batch.push(row);
    if (batch.length >= ROWS_PER_BATCH) {
      yield batch;
      batch = [];
    }
  }
  faults.throwIfAny();
  if (reading.rows === 0) throw fileError(['the file has no rows.']);
  if (batch.length > 0) yield batch;
}

/** Of nothing yet. */
export function createReading(): FileReading {
  return {
    format: 'CSV',
    delimiter: null,
    columns: [],
    ignoredColumns: [],
    rows: 0,
    emptyRows: 0,
    repeatedRows: 0,
  };
}

/** The first character that is no blank, and everything. */
async function peek(
  texts: AsyncIterable<string>,
): Promise<{ first: string | undefined; all: AsyncIterable<string> }> {
  const iterator = texts[Symbol.asyncIterator]();
  let read = '';
  let isDone = false;
  while (read.trim() === '' && !isDone) {
    const { value, done } = await iterator.next();
    if (done) isDone = true;
    else read += value;
  }
  async function* all() {
    yield read;
    if (isDone) return;
    for (let result = await iterator.next(); !result.done; result = await iterator.next()) yield result.value;
  }
  return { first: read.trim()[0], all: all() };
}
