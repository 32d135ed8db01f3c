import { decimal } from '../../../json.ts';
import { NOT_TEXT } from '../../identity.ts';
import { isPlaceholder } from '../../placeholder.ts';
import { type Field, valuesOf } from './columns.ts';
import type { Faults } from './faults.ts';

export interface FileRow {
  /** Of the file, from 1; a row of several lines has that of its last. */
  line: number;
  distinctId: string;
  email: string | null;
  userId: string | null;
}

/** What a row's values, by the names of their columns, say of a person; undefined when that is a fault. */
export function readRow(
  values: ReadonlyMap<string, unknown>,
  line: number,
  faults: Faults,
): FileRow | undefined {
  const distinctId = read('distinctId', values);
  const email = read('email', values);
  if (distinctId === NOT_TEXT) {
    faults.add(line, 'its distinct_id is neither text nor a number that is written out.');
    return undefined;
  }
  const name = distinctId ?? email;
  if (name === undefined) {
    faults.add(line, 'has neither a distinct_id nor an e-mail.');
    return undefined;
  }
  const userId = read('userId', values, (text) => !isPlaceholder(text));
  return { line, distinctId: name, email: email ?? null, userId: userId ?? null };
}

/** The first value that is there and names somebody. */
function read(
  field: Field,
  values: ReadonlyMap<string, unknown>,
  namesSomebody: (text: string) => boolean = () => true,
): string | undefined {
  for (const value of valuesOf(field, values)) {
    const text = toText(value);
    if (text !== '' && namesSomebody(text)) return text.replaceAll('\0', '\uFFFD');
  }
  return undefined;
}

function toText(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value.trim();
  if (typeof value === 'number' || typeof value === 'bigint') return decimal(value) ?? NOT_TEXT;
  return NOT_TEXT;
}
