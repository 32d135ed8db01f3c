import { isUtf8 } from 'node:buffer';
import { type Faults, fileError } from './faults.ts';

export const MAX_LINE_BYTES = 1_000_000;
/** More than the name of the first file in an archive takes, by which a workbook of Excel is known. */
const SNIFFED_BYTES = 512;

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/**
 * The text of a file, some whole lines at a time, each ending in \n whatever it ends in there. UTF-8, or UTF-16 with a byte
 * order mark. A line that is neither is a fault of its own; throws BadUserInputError for a file that is no text.
 */
export async function* decodeLines(bytes: AsyncIterable<Uint8Array>, faults: Faults): AsyncIterable<string> {
  let line = 1;
  let rest: Uint8Array = Buffer.alloc(0);

  function read(lines: Uint8Array): string {
    const isClean = isText(lines);
    if (!isClean) {
      let at = line;
      for (const one of splitLines(lines)) {
        if (!isText(one)) faults.add(at, 'is not valid UTF-8 text.');
        at++;
      }
    }
    const decoded = Buffer.from(lines.buffer, lines.byteOffset, lines.length).toString('utf8');
    // What is at fault is read on for the sake of its other faults.
    const text = (isClean ? decoded : decoded.replaceAll('\0', '\uFFFD')).replace(/\r\n?/g, '\n');
    line += countLines(text);
    return text;
  }

  for await (const chunk of toUtf8(bytes)) {
    const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const end = endOfLines(joined);
    if (end > 0) yield read(joined.subarray(0, end));
    rest = joined.subarray(end);
    if (rest.length > MAX_LINE_BYTES) throw fileError([`line ${line}: is longer than 1 MB.`]);
  }
  if (rest.length > 0) yield read(rest);
}

function isText(bytes: Uint8Array): boolean {
  return isUtf8(bytes) && !bytes.includes(0);
}

function countLines(text: string): number {
  let lines = 0;
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines++;
  return lines;
}

/** Where the last line ends that is whole; a carriage return at the very end may have a line feed after it. */
function endOfLines(bytes: Uint8Array): number {
  const feed = bytes.lastIndexOf(LINE_FEED);
  const carriage = bytes.lastIndexOf(CARRIAGE_RETURN, bytes.length - 2);
  return Math.max(feed, bytes.length < 2 ? -1 : carriage) + 1;
}

function* splitLines(bytes: Uint8Array): Iterable<Uint8Array> {
  let start = 0;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at];
    if (byte !== LINE_FEED && !(byte === CARRIAGE_RETURN && bytes[at + 1] !== LINE_FEED)) continue;
    yield bytes.subarray(start, at);
    start = at + 1;
  }
  yield bytes.subarray(start);
}

/** The file as UTF-8 without a byte order mark. */
async function* toUtf8(bytes: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const chunks = bytes[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  let isDone = false;
  while (first.length < SNIFFED_BYTES && !isDone) {
    const step = await chunks.next();
    isDone = step.done === true;
    if (!step.done) first = Buffer.concat([first, step.value]);
  }
  const format = formatOf(first);
  if (format !== undefined) throw fileError([format]);
  const encoding = encodingOf(first);
  async function* all() {
    yield encoding.marked > 0 ? first.subarray(encoding.marked) : first;
    for (let step = isDone ? undefined : await chunks.next(); step && !step.done; step = await chunks.next())
      yield step.value;
  }
  if (encoding.name === 'utf-8') yield* all();
  else yield* fromUtf16(all(), encoding.name);
}

function encodingOf(first: Buffer): { name: string; marked: number } {
  if (first.length >= 2) {
    const mark = first.readUInt16BE(0);
    if (mark === 0xfffe) return { name: 'utf-16le', marked: 2 };
    if (mark === 0xfeff) return { name: 'utf-16be', marked: 2 };
  }
  return { name: 'utf-8', marked: first.subarray(0, 3).equals(UTF8_MARK) ? 3 : 0 };
}

const UTF8_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

async function* fromUtf16(bytes: AsyncIterable<Uint8Array>, encoding: string): AsyncIterable<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  const decode = (chunk?: Uint8Array) => {
    try {
      const text = decoder.decode(chunk, { stream: chunk !== undefined });
      line += countLines(text);
      return Buffer.from(text, 'utf8');
    } catch {
      const text = new TextDecoder(encoding).decode(chunk);
      line += countLines(text.slice(0, text.indexOf('\uFFFD')));
      throw fileError([`line ${line}: is not valid UTF-16 text.`]);
    }
  };
  for await (const chunk of bytes) yield decode(chunk);
  yield decode();
}

/** What to do with a file that is no text; undefined for one that may be. */
function formatOf(first: Buffer): string | undefined {
  const begins = (...bytes: number[]) => first.subarray(0, bytes.length).equals(Buffer.from(bytes));
  const workbook = (ending: string) =>
    `the file is a workbook of Excel (${ending}): save its sheet as "CSV UTF-8", and upload that.`;
  if (begins(0xd0, 0xcf, 0x11, 0xe0)) return workbook('xls');
  if (begins(0x1f, 0x8b)) return 'the file is packed (gzip): unpack it, and upload the file that is in it.';
  if (!begins(0x50, 0x4b, 0x03, 0x04) && !begins(0x50, 0x4b, 0x05, 0x06)) return undefined;
  // The name of its first file (APPNOTE 4.3.7).
  const name = first.toString('latin1', 30, 30 + (first.length >= 28 ? first.readUInt16LE(26) : 0));
  return /^(\[Content_Types\]|_rels\/|docProps\/|xl\/)/.test(name)
    ? workbook('xlsx')
    : 'the file is an archive (zip): unpack it, and upload the CSV or NDJSON file that is in it.';
}
