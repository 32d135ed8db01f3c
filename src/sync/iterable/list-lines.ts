import { decodeText } from '../partner-http.ts';
import { UnavailableError, UnexpectedAnswerError } from './errors.ts';

/** A hundred million people: they go to disk. */
const MAX_LIST_BYTES = 4 * 1024 ** 3;
/** An e-mail or a userId, which have 320 characters at most. */
const MAX_LINE_LENGTH = 4_096;
/** What is longer and begins like JSON is a list: no page of a proxy's is. */
const MAX_PAGE_BYTES = 1024 * 1024;
/** As much of a body as shows what it is. */
const BEGIN_BYTES = 256;
const HTML_BEGIN = /^<(!doctype\s+html|html[\s>]|\?xml\s|!--)/i;

/**
 * The lines of a list, some at a time, without those that are empty. Throws UnavailableError for a page of JSON or HTML, whose lines
 * must never be taken for people (the content type tells nothing), and UnexpectedAnswerError for what no list would have.
 */
export async function* readListLines(body: AsyncIterable<Buffer>): AsyncIterable<string[]> {
  const decoder = new TextDecoder();
  let rest = '';
  let bytes = 0;
  for await (const chunk of refusePages(body)) {
    bytes += chunk.length;
    if (bytes > MAX_LIST_BYTES) throw tooLarge(`a list of more than ${MAX_LIST_BYTES} bytes`);
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    const filled = lines.map((line) => line.trim()).filter((line) => line !== '');
    if (filled.length > 0) yield filled;
    if (filled.some(isTooLong) || isTooLong(rest)) {
      throw tooLarge(`a line of more than ${MAX_LINE_LENGTH} characters in a list`);
    }
  }
  const last = (rest + decoder.decode()).trim();
  if (last !== '') yield [last];
}

/** The body, once it is sure that it is no page as a whole: a userId may look like anything. */
async function* refusePages(body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let held: Buffer[] | undefined = [];
  let bytes = 0;
  for await (const chunk of body) {
    if (held === undefined) {
      yield chunk;
      continue;
    }
    held.push(chunk);
    bytes += chunk.length;
    const begin = beginOf(held);
    const isUndecided = begin === '' || /^[{[<]/.test(begin);
    if (isUndecided && bytes < MAX_PAGE_BYTES) continue;
    yield* held;
    held = undefined;
  }
  if (held === undefined) return;
  const whole = decodeText(Buffer.concat(held)).trim();
  if (isJsonPage(whole) || isHtmlPage(whole)) throw notAList();
  yield* held;
}

function beginOf(chunks: Buffer[]): string {
  let begin = '';
  for (const chunk of chunks) {
    begin = (begin + decodeText(chunk.subarray(0, BEGIN_BYTES))).trimStart();
    if (begin.length >= BEGIN_BYTES) break;
  }
  return begin;
}

function isJsonPage(text: string): boolean {
  if (!/^[{[]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** From its first tag to its last. */
function isHtmlPage(text: string): boolean {
  return HTML_BEGIN.test(text) && text.endsWith('>');
}

function isTooLong(line: string): boolean {
  return line.length > MAX_LINE_LENGTH;
}

function notAList(): UnavailableError {
  return new UnavailableError('Iterable answered a read of a list with something that is not a list.');
}

function tooLarge(what: string): UnexpectedAnswerError {
  return new UnexpectedAnswerError(`Iterable answered with ${what}, which is not read.`);
}
