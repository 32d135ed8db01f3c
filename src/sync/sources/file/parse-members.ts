import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { BadUserInputError } from '../../../errors.ts';
import { decimal, parseJson } from '../../../json.ts';

export interface FileRow {
  distinctId: string;
  email: string | null;
  userId: string | null;
}

const MAX_LINE_BYTES = 1_000_000;
const ROWS_PER_BATCH = 5_000;
/** Faults that are told one by one; the rest is counted. */
const FAULTS_SHOWN = 20;

const DISTINCT_ID_KEYS = ['$distinct_id', 'distinct_id'];
/** In order: the first that is not empty is taken. */
const EMAIL_KEYS = ['email', '$email'];
const USER_ID_KEYS = ['$iterable_user_id', 'iterable_user_id', 'user_id', 'userId'];
/** Stands for an e-mail or userId that is neither text nor an exact number: no rule takes it for well-formed. */
const NOT_TEXT = '\uFFFD';

/**
 * The people of a CSV file with a header row or of an NDJSON file, some at a time; which of the two it is shows by its
 * first character. Throws BadUserInputError that names the lines at fault, after it has read the whole file.
 */
export async function* parseMembers(bytes: AsyncIterable<Uint8Array>): AsyncIterable<FileRow[]> {
  const faults = createFaults();
  const { first, all } = await peek(decode(bytes, faults));
  if (first === undefined) throw fileError(['the file has no rows.']);
  if (first === '[')
    throw fileError(['line 1: a JSON array is not taken; write one object on each line (NDJSON).']);
  const rows = first === '{' ? parseNdjson(all, faults) : parseCsv(all, faults);
  let batch: FileRow[] = [];
  let count = 0;
  for await (const row of rows) {
    count++;
    batch.push(row);
    if (batch.length >= ROWS_PER_BATCH) {
      yield batch;
      batch = [];
    }
  }
  faults.throwIfAny();
  if (count === 0) throw fileError(['the file has no rows.']);
  if (batch.length > 0) yield batch;
}

interface Faults {
  add(line: number, what: string): void;
  throwIfAny(): void;
}

function createFaults(): Faults {
  const shown: string[] = [];
  let count = 0;
  return {
    add(line, what) {
      if (++count <= FAULTS_SHOWN) shown.push(`line ${line}: ${what}`);
    },
    throwIfAny() {
      if (count === 0) return;
      const rest = count - shown.length;
      throw fileError(rest > 0 ? [...shown, `and ${rest} more lines.`] : shown);
    },
  };
}

function fileError(messages: string[]): BadUserInputError {
  return new BadUserInputError(messages.map((message) => ({ path: ['input', 'file'], message })));
}

/** UTF-8 without a byte order mark. What is not UTF-8 is a fault of its line. */
async function* decode(bytes: AsyncIterable<Uint8Array>, faults: Faults): AsyncIterable<string> {
  const decoder = new TextDecoder('utf-8');
  let line = 1;
  const check = (text: string) => {
    const at = text.search(/[\uFFFD\0]/);
    if (at !== -1) faults.add(line + countLines(text.slice(0, at)), 'is not valid UTF-8 text.');
    line += countLines(text);
    return text.replaceAll('\0', '\uFFFD');
  };
  for await (const chunk of bytes) yield check(decoder.decode(chunk, { stream: true }));
  // A character that breaks off at the end of the file shows now.
  yield check(decoder.decode());
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
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

async function* parseNdjson(texts: AsyncIterable<string>, faults: Faults): AsyncIterable<FileRow> {
  let rest = '';
  let line = 0;
  const read = (text: string): FileRow | undefined => {
    line++;
    if (text.trim() === '') return undefined;
    let value: unknown;
    try {
      value = parseJson(text);
    } catch {
      faults.add(line, 'is not JSON.');
      return undefined;
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      faults.add(line, 'is no JSON object.');
      return undefined;
    }
    return toRow(value as Record<string, unknown>, line, faults);
  };
  for await (const text of texts) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > MAX_LINE_BYTES)
      throw fileError([`line ${line + lines.length + 1}: is longer than 1 MB.`]);
    for (const one of lines) {
      const row = read(one);
      if (row) yield row;
    }
  }
  const row = read(rest);
  if (row) yield row;
}

async function* parseCsv(texts: AsyncIterable<string>, faults: Faults): AsyncIterable<FileRow> {
  const source = Readable.from(texts);
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_LINE_BYTES,
  });
  // pipe() hands on neither the failure of the one nor the end of the other.
  source.on('error', (error) => parser.destroy(error));
  source.pipe(parser);
  let header: string[] | undefined;
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: string[];
      info: { lines: number };
    }>) {
      if (!header) {
        header = readHeader(record);
        continue;
      }
      if (record.length !== header.length) {
        faults.add(info.lines, `has ${record.length} columns, the header row has ${header.length}.`);
        continue;
      }
      const row = toRow(
        Object.fromEntries(header.map((name, index) => [name, record[index]])),
        info.lines,
        faults,
      );
      if (row) yield row;
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const what = error.code.replace(/^CSV_/, '').toLowerCase().replaceAll('_', ' ');
    faults.add(Number(error.lines) || 1, `is not valid CSV (${what}).`);
  }
}

function readHeader(record: string[]): string[] {
  const header = record.map((name) => name.trim());
  const known = [...DISTINCT_ID_KEYS, ...EMAIL_KEYS];
  if (header.some((name) => known.includes(name))) return header;
  throw fileError([
    'line 1: the header row must name a column distinct_id, $distinct_id, email or $email (CSV), or each line must be a JSON object (NDJSON).',
  ]);
}

function toRow(values: Record<string, unknown>, line: number, faults: Faults): FileRow | undefined {
  const distinctId = firstText(values, DISTINCT_ID_KEYS);
  const email = firstText(values, EMAIL_KEYS);
  if (distinctId === NOT_TEXT) {
    faults.add(line, 'its distinct_id is neither text nor a number that is written out.');
    return undefined;
  }
  const name = distinctId ?? email;
  if (name === undefined) {
    faults.add(line, 'has neither a distinct_id nor an e-mail.');
    return undefined;
  }
  return { distinctId: name, email: email ?? null, userId: firstText(values, USER_ID_KEYS) ?? null };
}

function firstText(values: Record<string, unknown>, keys: string[]): string | undefined {
  for (const key of keys) {
    const value = values[key];
    if (value === undefined || value === null) continue;
    const text =
      typeof value === 'string' ? value.trim() : isNumber(value) ? (decimal(value) ?? NOT_TEXT) : NOT_TEXT;
    if (text !== '') return text.replaceAll('\0', NOT_TEXT);
  }
  return undefined;
}

function isNumber(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint';
}
