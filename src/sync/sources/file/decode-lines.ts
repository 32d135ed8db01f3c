import { isUtf8 } from 'node:buffer';
import { decodeUtf16 } from './decode-utf16.ts';
import { type Faults, fileError } from './faults.ts';
import { readMarks, refuseFormat, SNIFFED_BYTES } from './file-format.ts';

export const MAX_LINE_BYTES = 1_000_000;

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

  for await (const chunk of toUtf8(bytes, faults)) {
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
async function* toUtf8(bytes: AsyncIterable<Uint8Array>, faults: Faults): AsyncIterable<Uint8Array> {
  const chunks = bytes[Symbol.asyncIterator]();
  let first: Buffer = Buffer.alloc(0);
  let isDone = false;
  while (first.length < SNIFFED_BYTES && !isDone) {
    const step = await chunks.next();
    isDone = step.done === true;
    if (!step.done) first = Buffer.concat([first, step.value]);
  }
  const refusal = refuseFormat(first);
  if (refusal !== undefined) throw fileError([refusal]);
  const { encoding, start } = readMarks(first);
  async function* all() {
    yield first.subarray(start);
    for (let step = isDone ? undefined : await chunks.next(); step && !step.done; step = await chunks.next())
      yield step.value;
  }
  if (encoding === 'utf-8') yield* all();
  else yield* decodeUtf16(all(), encoding, faults);
}
