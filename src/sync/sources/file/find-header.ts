import { findDelimiter, isSeparatorLine, readSeparator } from './columns.ts';
import { MAX_LINE_BYTES } from './decode-lines.ts';
import { fileError } from './faults.ts';

const MAX_LINE_SHOWN = 20;

/**
 * Where the header row is, and what parts its columns: what Excel's line of the separator says, or whatever gives most names that
 * are known. That line and the empty rows before the header are skipped. Throws BadUserInputError.
 */
export async function findHeader(texts: AsyncIterable<string>): Promise<{
  delimiter: string;
  skippedLines: number;
  emptyRows: number;
  /** From the header on. */
  rest: AsyncIterable<string>;
}> {
  const iterator = texts[Symbol.asyncIterator]();
  let text = '';
  let isDone = false;
  let delimiter: string | undefined;
  let skippedLines = 0;
  let emptyRows = 0;

  /** The row that is next, as it is written; a cell in quotes may go over lines, and into what is not read yet. */
  async function peekRow(): Promise<string> {
    for (;;) {
      text = text.replace(/^\uFEFF+/, '');
      const end = endOfRow(text);
      if (end !== undefined) return text.slice(0, end);
      // Without an end to its quotes it is a fault that the parser will tell of.
      if (isDone || text.length > MAX_LINE_BYTES) return firstLine(text);
      const step = await iterator.next();
      if (step.done) isDone = true;
      else text += step.value;
    }
  }

  function skip(row: string) {
    skippedLines += row.split('\n').length - 1;
    text = text.slice(row.length);
  }

  for (;;) {
    const row = await peekRow();
    const line = firstLine(text);
    if (delimiter === undefined && isSeparatorLine(line)) {
      delimiter = readSeparator(line);
      if (delimiter === undefined) {
        throw fileError([
          `line ${skippedLines + 1}: ${JSON.stringify(line.trim().slice(0, MAX_LINE_SHOWN))} does not name one character; write "sep=;" or leave it out.`,
        ]);
      }
      skip(line);
    } else if (row !== '' && isEmpty(row)) {
      if (row !== '\n') emptyRows++;
      skip(row);
    } else {
      delimiter ??= findDelimiter(row);
      break;
    }
  }

  async function* rest() {
    yield text;
    if (isDone) return;
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
  }
  return { delimiter, skippedLines, emptyRows, rest: rest() };
}

function firstLine(text: string): string {
  return text.slice(0, text.indexOf('\n') + 1 || text.length);
}

/** Cells without a value, whatever parts them. */
function isEmpty(row: string): boolean {
  return !/[^\s,;]/.test(row.replace(/"\s*"/g, ''));
}

/** After the first line end that is not in quotes; undefined when there is none. */
function endOfRow(text: string): number | undefined {
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '"') isQuoted = !isQuoted;
    else if (text[at] === '\n' && !isQuoted) return at + 1;
  }
  return undefined;
}
