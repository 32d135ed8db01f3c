/** What a column of a file, or a key of its objects, is to us. */
export type Field = 'distinctId' | 'email' | 'userId';

/** In order: of a person's values the first that is not empty is taken. Anything else is a column like any other. */
const NAMES: Record<Field, readonly string[]> = {
  distinctId: ['$distinct_id', 'distinct_id'],
  email: ['email', '$email'],
  userId: ['$iterable_user_id', 'iterable_user_id'],
};
const KNOWN: ReadonlySet<string> = new Set(Object.values(NAMES).flat());

/** As it is compared: whatever its case, and without the blanks and the byte order mark around it. */
export function normaliseName(name: string): string {
  // trim takes the byte order mark for a blank, too.
  return name.trim().toLowerCase();
}

export function isKnown(name: string): boolean {
  return KNOWN.has(name);
}

/** Whether people can be told apart by these columns. */
export function namePeople(names: readonly string[]): boolean {
  return names.some((name) => NAMES.distinctId.includes(name) || NAMES.email.includes(name));
}

/** A known name that is there twice. */
export function findTwice(names: readonly string[]): string | undefined {
  return names.find((name, index) => isKnown(name) && names.indexOf(name) !== index);
}

/** The values of a field, best first. */
export function* valuesOf(field: Field, values: ReadonlyMap<string, unknown>): Iterable<unknown> {
  for (const name of NAMES[field]) yield values.get(name);
}

const DELIMITERS = [',', ';', '\t'] as const;

/** What parts the columns of a header line: whatever gives most names that are known, and a comma when in doubt. */
export function findDelimiter(header: string): string {
  const known = (delimiter: string) =>
    header.split(delimiter).filter((cell) => isKnown(normaliseName(cell.replaceAll('"', '')))).length;
  return DELIMITERS.reduce((best, one) => (known(one) > known(best) ? one : best));
}

const SEPARATOR_LINE = /^\s*"?\s*sep\s*=(.*)\n?$/i;

/** Excel's own first line, which says what parts the columns. */
export function isSeparatorLine(line: string): boolean {
  return SEPARATOR_LINE.test(line);
}

/** The one character that it names, with blanks or as often as there were columns when a program saved it; undefined for none. */
export function readSeparator(line: string): string | undefined {
  const characters = new Set(SEPARATOR_LINE.exec(line)?.[1]?.replaceAll('"', ''));
  if (characters.size > 1) characters.delete(' ');
  const [character] = characters;
  return characters.size === 1 ? character : undefined;
}

/** The heads of columns that are shown. */
const MAX_COLUMNS_SHOWN = 100;
const MAX_NAME_SHOWN = 100;

/** Remembers the name of a column that is not used, in bounded memory. */
export function noteIgnored(names: Set<string>, name: string): void {
  const shown = name.trim().slice(0, MAX_NAME_SHOWN);
  // JSON in PostgreSQL can hold neither NUL nor half a character.
  if (shown !== '' && names.size < MAX_COLUMNS_SHOWN)
    names.add(shown.toWellFormed().replaceAll('\0', '\uFFFD'));
}
