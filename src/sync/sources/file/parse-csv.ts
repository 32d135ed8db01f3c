import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import type { FileReading } from '../../../../db/json-columns.ts';
import { findTwice, isKnown, namePeople, normaliseName, noteIgnored } from './columns.ts';
import { MAX_LINE_BYTES } from './decode-lines.ts';
import { type Faults, fileError } from './faults.ts';
import { type FileRow, readRow } from './file-row.ts';
import { findHeader } from './find-header.ts';

/** The people of a CSV file with a header row. What was understood is in the reading once all of it is read. */
export async function* parseCsv(
  texts: AsyncIterable<string>,
  faults: Faults,
  reading: FileReading,
): AsyncIterable<FileRow> {
  const { delimiter, skippedLines, emptyRows, rest } = await findHeader(texts);
  Object.assign(reading, { delimiter, emptyRows } satisfies Partial<FileReading>);
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
      const line = skippedLines + info.lines;
      const cells = record.map((cell) => cell.trim());
      if (cells.every((cell) => cell === '')) {
        reading.emptyRows++;
        continue;
      }
      if (!header) {
        header = readHeader(cells, line, reading);
        continue;
      }
      const width = cells.findLastIndex((cell) => cell !== '') + 1;
      if (width > header.length) {
        faults.add(line, `has ${width} columns, the header row has ${header.length}.`);
        continue;
      }
      const row = readRow(new Map(header.map((name, index) => [name, cells[index]])), line, faults);
      if (row) yield row;
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    const what = error.code.replace(/^CSV_/, '').toLowerCase().replaceAll('_', ' ');
    faults.add(skippedLines + (Number(error.lines) || 1), `is not valid CSV (${what}).`);
  }
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
  const ignored = new Set<string>();
  for (const [index, name] of cells.entries()) if (!isKnown(header[index]!)) noteIgnored(ignored, name);
  reading.ignoredColumns = [...ignored];
  return header;
}
