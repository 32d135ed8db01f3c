import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import type { FileReading } from '../../../../db/json-columns.ts';
import { decimal, isJsonObject, parseJson } from '../../../json.ts';
import {
  findDelimiter,
  findTwice,
  isKnown,
  namePeople,
  normaliseName,
  readSeparatorLine,
  valuesOf,
} from './columns.ts';
import { decodeLines, MAX_LINE_BYTES } from './decode-lines.ts';
import { createFaults, type Faults, fileError } from './faults.ts';

export interface FileRow {
  /** Of the file, from 1; a row of several lines has the number of its last. */
  line: number;
  distinctId: string;
  email: string | null;
  userId: string | null;
}

const ROWS_PER_BATCH = 5_000;
/** The heads of columns that are shown. */
const MAX_COLUMNS_SHOWN = 100;
const MAX_NAME_SHOWN = 100;
/** Stands for an e-mail or userId that is neither text nor a number with all its digits: no rule takes it for well-formed. */
const NOT_TEXT = '\uFFFD';

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

async function* parseNdjson(
  texts: AsyncIterable<string>,
  faults: Faults,
  reading: FileReading,
): AsyncIterable<FileRow> {
  const columns = new Set<string>();
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
    if (!isJsonObject(value)) {
      faults.add(line, 'is no JSON object.');
      return undefined;
    }
    const names = Object.keys(value).map(normaliseName);
    const twice = findTwice(names);
    if (twice !== undefined) {
      faults.add(line, `has the key "${twice}" twice.`);
      return undefined;
    }
    for (const name of names) if (isKnown(name)) columns.add(name);
    return toRow(new Map(Object.values(value).map((one, index) => [names[index]!, one])), line, faults);
  };
  for await (const text of texts) {
    const lines = text.split('\n');
    // Whole lines come, so what is after the last line end is empty, but at the end of the file.
    if (lines.at(-1) === '') lines.pop();
    for (const one of lines) {
      const row = read(one);
      if (row) yield row;
    }
  }
  Object.assign(reading, { format: 'NDJSON', columns: [...columns] } satisfies Partial<FileReading>);
}

async function* parseCsv(
  texts: AsyncIterable<string>,
  faults: Faults,
  reading: FileReading,
): AsyncIterable<FileRow> {
  const { delimiter, skipped, rest } = await readDelimiter(texts);
  reading.delimiter = delimiter;
  const source = Readable.from(rest);
  const parser = parse({
    delimiter,
    record_delimiter: '\n',
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
      const line = skipped + info.lines;
      const cells = record.map((cell) => cell.trim());
      if (!header) {
        header = readHeader(cells, line, reading);
        continue;
      }
      if (cells.every((cell) => cell === '')) {
        reading.emptyRows++;
        continue;
      }
      const width = cells.findLastIndex((cell) => cell !== '') + 1;
      if (width > header.length) {
        faults.add(line, `has ${width} columns, the header row has ${header.length}.`);
        continue;
      }
      const row = toRow(new Map(header.map((name, index) => [name, cells[index]])), line, faults);
      if (row) yield row;
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const what = error.code.replace(/^CSV_/, '').toLowerCase().replaceAll('_', ' ');
    faults.add(skipped + (Number(error.lines) || 1), `is not valid CSV (${what}).`);
  }
}

/** What parts the columns, by the line that says so or by the header. Blank lines before them, and that line, are skipped. */
async function readDelimiter(
  texts: AsyncIterable<string>,
): Promise<{ delimiter: string; skipped: number; rest: AsyncIterable<string> }> {
  const iterator = texts[Symbol.asyncIterator]();
  // The first text begins with blanks at most, and has the first line whole.
  let text: string = (await iterator.next()).value ?? '';
  let skipped = 0;
  let delimiter: string | undefined;
  for (;;) {
    const end = text.indexOf('\n') + 1 || text.length;
    const line = text.slice(0, end);
    const isBlank = line.trim() === '' && line !== '';
    if (!isBlank) {
      if (delimiter !== undefined) break;
      delimiter = readSeparatorLine(line);
      if (delimiter === undefined) {
        delimiter = findDelimiter(line);
        break;
      }
    }
    skipped++;
    text = text.slice(end);
    if (text === '') break;
  }
  async function* rest() {
    yield text;
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
  }
  return { delimiter: delimiter ?? ',', skipped, rest: rest() };
}

function readHeader(cells: string[], line: number, reading: FileReading): string[] {
  const header = cells.map(normaliseName);
  if (!namePeople(header)) {
    throw fileError([
      `line ${line}: the header row must name a column distinct_id, $distinct_id, email or $email (CSV), or each line must be a JSON object (NDJSON).`,
    ]);
  }
  const twice = findTwice(header);
  if (twice !== undefined) {
    throw fileError([`line ${line}: the header row has two columns "${twice}"; keep the one that is meant.`]);
  }
  reading.columns = header.filter(isKnown);
  reading.ignoredColumns = cells
    .filter((name, index) => name !== '' && !isKnown(header[index]!))
    .slice(0, MAX_COLUMNS_SHOWN)
    .map((name) => name.slice(0, MAX_NAME_SHOWN));
  return header;
}

function toRow(values: ReadonlyMap<string, unknown>, line: number, faults: Faults): FileRow | undefined {
  const distinctId = firstText(valuesOf('distinctId', values));
  const email = firstText(valuesOf('email', values));
  if (distinctId === NOT_TEXT) {
    faults.add(line, 'its distinct_id is neither text nor a number that is written out.');
    return undefined;
  }
  const name = distinctId ?? email;
  if (name === undefined) {
    faults.add(line, 'has neither a distinct_id nor an e-mail.');
    return undefined;
  }
  return {
    line,
    distinctId: name,
    email: email ?? null,
    userId: firstText(valuesOf('userId', values)) ?? null,
  };
}

function firstText(values: Iterable<unknown>): string | undefined {
  for (const value of values) {
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
