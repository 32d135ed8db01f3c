import type { Faults } from './faults.ts';
import type { Encoding } from './file-format.ts';

const CARRIAGE_RETURN = 0x0d;
/** Stands for a byte without its other. */
const HALF = '\ud800';

/** UTF-16 as UTF-8. A line that is not valid is a fault of its own, and is read on for the sake of its other faults. */
export async function* decodeUtf16(
  bytes: AsyncIterable<Uint8Array>,
  encoding: Exclude<Encoding, 'utf-8'>,
  faults: Faults,
): AsyncIterable<Uint8Array> {
  let rest: Buffer = Buffer.alloc(0);
  let line = 1;
  let faultyLine = 0;

  function read(units: Buffer, end = ''): Buffer {
    const swapped = encoding === 'utf-16be' ? Buffer.from(units).swap16() : units;
    const text = swapped.toString('utf16le') + end;
    const lines = text.split(/\r\n?|\n/);
    for (const [index, one] of lines.entries()) {
      if (isText(one) || faultyLine === line + index) continue;
      faultyLine = line + index;
      faults.add(faultyLine, 'is not valid UTF-16 text.');
    }
    line += lines.length - 1;
    return Buffer.from(text.toWellFormed().replaceAll('\0', '\uFFFD'), 'utf8');
  }

  for await (const chunk of bytes) {
    const joined = Buffer.concat([rest, chunk]);
    const end = endOfWhole(joined, encoding);
    yield read(joined.subarray(0, end));
    rest = joined.subarray(end);
  }
  const isOdd = rest.length % 2 === 1;
  yield read(rest.subarray(0, rest.length - (isOdd ? 1 : 0)), isOdd ? HALF : '');
}

function isText(line: string): boolean {
  return line.isWellFormed() && !line.includes('\0');
}

/** Where the last character ends that is whole; a carriage return may have a line feed after it. */
function endOfWhole(bytes: Buffer, encoding: Encoding): number {
  const end = bytes.length - (bytes.length % 2);
  if (end === 0) return 0;
  const unit = encoding === 'utf-16be' ? bytes.readUInt16BE(end - 2) : bytes.readUInt16LE(end - 2);
  const isOpen = unit === CARRIAGE_RETURN || (unit >= 0xd800 && unit <= 0xdbff);
  return isOpen ? end - 2 : end;
}
