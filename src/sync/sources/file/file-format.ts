/** Of the beginning: enough to tell what a file is. */
export const SNIFFED_BYTES = 512;

export type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be';

// What files have at their beginning, or after so many bytes; a character is a byte.
const MARKS: readonly [mark: string, Encoding][] = [
  ['\xff\xfe', 'utf-16le'],
  ['\xfe\xff', 'utf-16be'],
  ['\xef\xbb\xbf', 'utf-8'],
];
const UTF_32 = ['\xff\xfe\0\0', '\0\0\xfe\xff'];

type Format = [mark: string, name: string, at?: number];
const PACKED: readonly Format[] = [
  ['\x1f\x8b', 'gzip'],
  ['1AY&SY', 'bzip2', 4],
  ['\x28\xb5\x2f\xfd', 'zstd'],
  ['\xfd7zXZ\0', 'xz'],
];
const ARCHIVES: readonly Format[] = [
  ['PK\x03\x04', 'zip'],
  ['PK\x05\x06', 'zip'],
  ['7z\xbc\xaf\x27\x1c', '7z'],
  ['Rar!\x1a\x07', 'rar'],
  ['ustar\0', 'tar', 257],
  ['ustar  \0', 'tar', 257],
];
const DOCUMENTS: readonly Format[] = [
  ['%PDF-', 'PDF'],
  ['PAR1\x15', 'Parquet'],
];

/** By its byte order mark, and where the text begins. Some programs write the mark in front of one that is there. */
export function readMarks(first: Buffer): { encoding: Encoding; start: number } {
  const text = first.toString('latin1');
  const [mark, encoding] = MARKS.find(([one]) => text.startsWith(one)) ?? ['', 'utf-8'];
  let start = 0;
  while (mark !== '' && text.startsWith(mark, start)) start += mark.length;
  return { encoding, start };
}

/** What a file is that is not read, and what to do; undefined for one that may be text. */
export function refuseFormat(first: Buffer): string | undefined {
  const text = first.toString('latin1');
  const find = (formats: readonly Format[]) => formats.find(([mark, , at]) => text.startsWith(mark, at))?.[1];
  if (text.startsWith('\xd0\xcf\x11\xe0')) return refuseSheet('a workbook of Excel (xls)');
  const packed = find(PACKED);
  if (packed) return `the file is packed (${packed}): unpack it, and upload the file that is in it.`;
  const archive = find(ARCHIVES);
  if (archive) return (archive === 'zip' && refuseZippedSheet(first)) || refuseArchive(archive);
  const document = find(DOCUMENTS);
  if (document) return `the file is ${document}: export its people as CSV or NDJSON, and upload that.`;
  const encoding = findUnread(first, text);
  return encoding && `the file is ${encoding}: save it as UTF-8, and upload that.`;
}

function refuseArchive(name: string): string {
  return `the file is an archive (${name}): unpack it, and upload the CSV or NDJSON file that is in it.`;
}

function refuseSheet(name: string): string {
  return `the file is ${name}: save its sheet as "CSV UTF-8", and upload that.`;
}

/** By the name of the first file in it (APPNOTE 4.3.7). */
function refuseZippedSheet(first: Buffer): string | undefined {
  const nameEnd = 30 + (first.length >= 28 ? first.readUInt16LE(26) : 0);
  const name = first.toString('latin1', 30, nameEnd);
  if (/^(\[Content_Types\]|_rels\/|docProps\/|xl\/)/.test(name)) {
    return refuseSheet('a workbook of Excel (xlsx)');
  }
  const isSheet = first.includes('application/vnd.oasis.opendocument.spreadsheet');
  return name === 'mimetype' && isSheet ? refuseSheet('a spreadsheet of LibreOffice (ods)') : undefined;
}

function findUnread(first: Buffer, text: string): string | undefined {
  if (UTF_32.some((mark) => text.startsWith(mark))) return 'UTF-32';
  return MARKS.some(([mark]) => text.startsWith(mark)) ? undefined : findUnmarked(first);
}

/** Text of two or four bytes a character has NUL in most of its places that are for rare letters, and nowhere else. */
function findUnmarked(first: Buffer): string | undefined {
  if (!first.includes(0)) return undefined;
  const units = Math.floor(first.length / 4);
  const counts = [0, 0, 0, 0];
  for (let at = 0; at < units * 4; at++) if (first[at] === 0) counts[at % 4]!++;
  const [a, b, c, d] = counts.map((count) => count / units) as [number, number, number, number];
  if ((a < 0.1 && c > 0.9 && d === 1) || (d < 0.1 && b > 0.9 && a === 1)) return 'UTF-32';
  const [even, odd] = [(a + c) / 2, (b + d) / 2];
  if (Math.min(even, odd) === 0 && Math.max(even, odd) > 0.4) return 'UTF-16 without a byte order mark';
  return undefined;
}
