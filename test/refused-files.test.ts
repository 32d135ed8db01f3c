import { gzipSync, zstdCompressSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { faultsOf, importFile } from './support/import-file.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { latin1, utf16, utf32 } from './support/text-bytes.ts';

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ env: { ROLES: 'gateway' } });
  return () => app[Symbol.asyncDispose]();
});

const PLAIN = 'distinct_id,email\n1,ada@example.com\n2,bob@example.com\n';

const EXCEL = 'the file is a workbook of Excel';
const zipOf = (name: string, content = '') => {
  const header = Buffer.alloc(30);
  header.writeUInt32BE(0x504b0304);
  header.writeUInt16LE(name.length, 26);
  return Uint8Array.from(Buffer.concat([header, Buffer.from(name + content), Buffer.alloc(2_000)]));
};
type Refused = [title: string, content: string | Uint8Array<ArrayBuffer>, faults: string[]];
const REFUSED: Refused[] = [
  [
    'a value beyond the header',
    'distinct_id,email\n1,ada@example.com,2\n',
    ['line 2: has 3 columns, the header row has 2.'],
  ],
  [
    'two columns of one name',
    'distinct_id,email, Email\n1,a@example.com,b@example.com\n',
    ['line 1: the header row has two columns "email"; keep the one that is meant.'],
  ],
  [
    'a key twice',
    '{"email":"a@example.com","Email":"b@example.com"}\n',
    ['line 1: has the key "email" twice.'],
  ],
  ...[
    ['email', '{"email":"a@example.com","email":"b@example.com"}'],
    ['distinct_id', '{"distinct_id":1,"x":{"y":[1]},"distinct_id" :2}'],
    ['email', '{"email":"a@example.com","\\u0065mail":"a@example.com"}'],
    ['$iterable_user_id', '{"email":"a@example.com","$iterable_user_id":1,"$Iterable_User_Id":1}'],
  ].map(
    ([name, line]): Refused => [
      `a key twice in ${line}`,
      `${line}\n`,
      [`line 1: has the key "${name}" twice.`],
    ],
  ),
  ...['sep=', 'sep=;,', '"sep=;",,', 'sep=semicolon'].map(
    (line): Refused => [
      `the line of the separator ${line}`,
      `\n${line}\ndistinct_id;email\n1;a@example.com\n`,
      [`line 2: ${JSON.stringify(line)} does not name one character; write "sep=;" or leave it out.`],
    ],
  ),
  [
    'a value beyond a header of two lines after an empty row',
    ',,\nsep=;\n"distinct\n_id";email\n1;a@example.com;x\n',
    ['line 5: has 3 columns, the header row has 2.'],
  ],
  [
    'quotes of the header that do not end',
    'email;"x\na@example.com;y\n',
    ['line 2: is not valid CSV (quote not closed).'],
  ],
  [
    'Windows-1252',
    latin1('distinct_id,email,name\n1,ada@example.com,Ren\xe9\n2,b@example.com,ok\n3,c@example.com,\x80\n'),
    ['line 2: is not valid UTF-8 text.', 'line 4: is not valid UTF-8 text.'],
  ],
  [
    'a row of nobody after one with line ends in quotes',
    'distinct_id,email,note\r\n1,ada@example.com,"two\r\nlines"\r\n2,bob@example.com,x\r\n,,y\r\n',
    ['line 5: has neither a distinct_id nor an e-mail.'],
  ],
  [
    'a byte that is none, with line ends of an old Mac',
    latin1('distinct_id,email\r1,ada@example.com\r2,b\xffb@example.com\r'),
    ['line 3: is not valid UTF-8 text.'],
  ],
  [
    'a row of nobody after the line of the separator',
    'sep=;\n\ndistinct_id;email;x\n;;y\n',
    ['line 4: has neither a distinct_id nor an e-mail.'],
  ],
  ['a character NUL', 'email\na@example.com\nb\0@example.com\n', ['line 3: is not valid UTF-8 text.']],
  [
    'UTF-16 that breaks off',
    utf16('email\na@example.com\n', false).slice(0, -1),
    ['line 2: is not valid UTF-16 text.'],
  ],
  [
    'UTF-16 with a real U+FFFD, and halves of characters on two lines',
    utf16('email\n\uFFFD@example.com\nb@example.com\n\ud83d\ud83d@example.com\nd\udc00@example.com\n', true),
    ['line 4: is not valid UTF-16 text.', 'line 5: is not valid UTF-16 text.'],
  ],
  [
    'half a character of UTF-16 with line ends of an old Mac',
    utf16('email\ra@example.com\rb\ud83d@example.com\r', false),
    ['line 3: is not valid UTF-16 text.'],
  ],
  [
    'a character NUL of UTF-16, far down',
    utf16(`email\r\n${'a@example.com\r\n'.repeat(20_000)}b\0@example.com\r\n`, false),
    ['line 20002: is not valid UTF-16 text.'],
  ],
  [
    'half a character of UTF-16',
    utf16('email\na\ud83d@example.com\n', false),
    ['line 2: is not valid UTF-16 text.'],
  ],
  [
    'an Excel workbook',
    zipOf('[Content_Types].xml'),
    [`${EXCEL} (xlsx): save its sheet as "CSV UTF-8", and upload that.`],
  ],
  [
    'an Excel workbook whose files are in another order',
    zipOf('xl/workbook.xml'),
    [`${EXCEL} (xlsx): save its sheet as "CSV UTF-8", and upload that.`],
  ],
  [
    'an old Excel workbook',
    Uint8Array.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1]),
    [`${EXCEL} (xls): save its sheet as "CSV UTF-8", and upload that.`],
  ],
  [
    'a spreadsheet of LibreOffice',
    zipOf('mimetype', 'application/vnd.oasis.opendocument.spreadsheet'),
    ['the file is a spreadsheet of LibreOffice (ods): save its sheet as "CSV UTF-8", and upload that.'],
  ],
  [
    'an archive',
    zipOf('people.csv'),
    ['the file is an archive (zip): unpack it, and upload the CSV or NDJSON file that is in it.'],
  ],
  [
    'a packed file',
    Uint8Array.from(gzipSync(PLAIN)),
    ['the file is packed (gzip): unpack it, and upload the file that is in it.'],
  ],
  ['a line without an end', `email\n${'a'.repeat(1_000_100)}`, ['line 2: is longer than 1 MB.']],
];

const packed = (name: string) =>
  `the file is packed (${name}): unpack it, and upload the file that is in it.`;
const archive = (name: string) =>
  `the file is an archive (${name}): unpack it, and upload the CSV or NDJSON file that is in it.`;
const document = (name: string) =>
  `the file is ${name}: export its people as CSV or NDJSON, and upload that.`;
const encoded = (name: string) => `the file is ${name}: save it as UTF-8, and upload that.`;
const UTF_16 = 'UTF-16 without a byte order mark';
const FORMATS: [string, Uint8Array<ArrayBuffer>, string][] = [
  ['bzip2', latin1('BZh61AY&SY\x12\x34'), packed('bzip2')],
  ['zstd', Uint8Array.from(zstdCompressSync(PLAIN)), packed('zstd')],
  ['xz', latin1('\xfd7zXZ\0\0\x04'), packed('xz')],
  ['7z', latin1('7z\xbc\xaf\x27\x1c\0\x04'), archive('7z')],
  ['rar', latin1('Rar!\x1a\x07\x01\0'), archive('rar')],
  ['tar', latin1(`${'people.csv'.padEnd(257, '\0')}ustar\x0000${'\0'.repeat(500)}`), archive('tar')],
  ['PDF', latin1('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n'), document('PDF')],
  ['Parquet', latin1('PAR1\x15\x04\x15'), document('Parquet')],
  ['UTF-32, little-endian', utf32(PLAIN, false), encoded('UTF-32')],
  ['UTF-32, big-endian', utf32(PLAIN, true), encoded('UTF-32')],
  ['UTF-32 without a mark', utf32(PLAIN, false).slice(4), encoded('UTF-32')],
  ['UTF-32, big-endian and without a mark', utf32(PLAIN, true).slice(4), encoded('UTF-32')],
  [UTF_16, utf16(PLAIN, false).slice(2), encoded(UTF_16)],
  ['UTF-16, big-endian and without a mark', utf16(PLAIN, true).slice(2), encoded(UTF_16)],
];

test.for(FORMATS)('refused by name: %s', async ([, content, what]) => {
  expect(await faultsOf(app.api, 'Refused', new Blob([content]))).toEqual([`input.file: ${what}`]);
});

test('text that looks a little like something else is read', async () => {
  // The header of a tar has its name there, too.
  const custard = `${'email\n'.padEnd(256, 'a@example.com\n')}mustard@example.com\n`;
  for (const text of [custard, 'PAR1,email\n%PDF-,a@example.com\n', 'Rar!,email\n7z,a@example.com\n'])
    await importFile(app.api, 'Read', text);
});

test.for(REFUSED)('refused by name and line: %s', async ([, content, faults]) => {
  const blob = typeof content === 'string' ? content : new Blob([content]);
  expect(await faultsOf(app.api, 'Refused', blob)).toEqual(faults.map((fault) => `input.file: ${fault}`));
});

test('a key of NDJSON may be there twice where it is not ours', async () => {
  const line = `{"x":1,"x":{"email":1,"email":2,"y":"{\\"email\\":["},"email":"a@example.com","z":["email","email"],"n":"${'\\n'.repeat(300_000)}"}`;
  expect((await importFile(app.api, 'Read', line)).memberCount).toBe(1);
});
