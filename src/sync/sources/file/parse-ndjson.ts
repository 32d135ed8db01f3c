import type { FileReading } from '../../../../db/json-columns.ts';
import { isJsonObject, parseJson } from '../../../json.ts';
import { findTwice, isKnown, normaliseName, noteIgnored } from './columns.ts';
import type { Faults } from './faults.ts';
import { type FileRow, readRow } from './file-row.ts';

/** The people of whole lines of JSON objects. What was understood is in the reading once all of it is read. */
export async function* parseNdjson(
  texts: AsyncIterable<string>,
  faults: Faults,
  reading: FileReading,
): AsyncIterable<FileRow> {
  const columns = new Set<string>();
  const ignored = new Set<string>();
  let line = 0;

  function read(text: string): FileRow | undefined {
    line++;
    // With the byte order marks of files that were put together.
    const json = text.trim();
    if (json === '') return undefined;
    let value: unknown;
    try {
      value = parseJson(json);
    } catch {
      faults.add(line, 'is not JSON.');
      return undefined;
    }
    if (!isJsonObject(value)) {
      faults.add(line, 'is no JSON object.');
      return undefined;
    }
    const twice = findTwice(namesIn(json).map(normaliseName));
    if (twice !== undefined) {
      faults.add(line, `has the key "${twice}" twice.`);
      return undefined;
    }
    const values = new Map<string, unknown>();
    for (const [name, one] of Object.entries(value)) {
      const normalised = normaliseName(name);
      if (!isKnown(normalised)) {
        noteIgnored(ignored, name);
        continue;
      }
      columns.add(normalised);
      values.set(normalised, one);
    }
    return readRow(values, line, faults);
  }

  for await (const text of texts) {
    const lines = text.split('\n');
    // Whole lines come, so what is after the last line end is empty, but at the end of the file.
    if (lines.at(-1) === '') lines.pop();
    for (const one of lines) {
      const row = read(one);
      if (row) yield row;
    }
  }
  Object.assign(reading, {
    format: 'NDJSON',
    columns: [...columns],
    ignoredColumns: [...ignored],
  } satisfies Partial<FileReading>);
}

/** A string, with the colon after it if it is a name; and what opens and closes. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g;

/** The names of an object in JSON, all of them: JSON.parse keeps only the last value of a name that is there twice. */
function namesIn(json: string): string[] {
  const names: string[] = [];
  let depth = 0;
  for (const [token, text, colon] of json.matchAll(TOKEN)) {
    if (text !== undefined) {
      if (depth === 1 && colon !== undefined) names.push(JSON.parse(text) as string);
    } else depth += token === '{' || token === '[' ? 1 : -1;
  }
  return names;
}
