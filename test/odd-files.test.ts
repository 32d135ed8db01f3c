import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { faultsOf, importFile } from './support/import-file.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const ADA = { distinctId: '1', email: 'ada@example.com', userId: null };
const BOB = { distinctId: '2', email: 'bob@example.com', userId: null };

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ env: { ROLES: 'gateway' } });
  return () => app[Symbol.asyncDispose]();
});

/** Who is in the cohort that comes of the file. */
async function peopleOf(content: string | Uint8Array<ArrayBuffer>) {
  const cohort = await importFile(
    app.api,
    'Odd',
    typeof content === 'string' ? content : new Blob([content]),
  );
  const rows = await app.app.sync.db
    .selectFrom('cohort_file_members')
    .innerJoin('cohorts', 'cohorts.import_id', 'cohort_file_members.import_id')
    .where('cohorts.external_id', '=', cohort.externalId)
    .select(['distinct_id as distinctId', 'email', 'user_id as userId'])
    .orderBy('position')
    .execute();
  expect(cohort.memberCount).toBe(new Set(rows.map(({ distinctId }) => distinctId)).size);
  return rows;
}

async function readingOf(content: string) {
  const { id } = await importFile(app.api, 'Odd', content);
  const { cohort } = await app.api.query(
    `query ($id: ID!) { cohort(id: $id) { warning
      file { format delimiter columns ignoredColumns rows emptyRows repeatedRows } } }`,
    { id },
  );
  return cohort;
}

const utf16 = (text: string, isBigEndian: boolean) => {
  const bytes = Buffer.from(`\uFEFF${text}`, 'utf16le');
  return Uint8Array.from(isBigEndian ? bytes.swap16() : bytes);
};
const latin1 = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'));

const PLAIN = 'distinct_id,email\n1,ada@example.com\n2,bob@example.com\n';
const TWO: [string, string | Uint8Array<ArrayBuffer>][] = [
  [
    'rows of commas at the end',
    'distinct_id,email,city\n1,ada@example.com,Ulm\n2,bob@example.com,\n,,\n,,,,,\n , ,\n',
  ],
  ['rows that end early', 'distinct_id,email,city,plan\n1,ada@example.com\n2,bob@example.com,Bern\n'],
  ['cells too many that are empty', 'distinct_id,email\n1,ada@example.com,\n2,bob@example.com,, ,\n'],
  ['a real U+FFFD', 'distinct_id,email,name\n1,ada@example.com,Ren\uFFFD\n2,bob@example.com,x\n'],
  [
    'semicolons, with a byte order mark',
    '\uFEFFdistinct_id;email;city\r\n1;ada@example.com;"Ulm; Donau"\r\n2;bob@example.com;"a,b"\r\n',
  ],
  ['tabs', 'distinct_id\temail\n1\tada@example.com\n2\tbob@example.com\n'],
  [
    'a tab in quotes of a file with commas',
    'distinct_id,email,note\n1,ada@example.com,"a\tb;c"\n2,bob@example.com,\n',
  ],
  ["Excel's line of its separator", 'sep=;\ndistinct_id;email\n1;ada@example.com\n2;bob@example.com\n'],
  [
    'the same in quotes, with another one',
    '\uFEFF"sep=|"\r\n\r\ndistinct_id|email\r\n1|ada@example.com\r\n2|bob@example.com\r\n',
  ],
  ['UTF-16, little-endian', utf16(PLAIN, false)],
  ['UTF-16, big-endian, with tabs as Excel saves it', utf16(PLAIN.replaceAll(',', '\t'), true)],
  ['line ends of an old Mac', PLAIN.replaceAll('\n', '\r')],
  ['line ends of all kinds', 'distinct_id,email\r\n1,ada@example.com\r2,bob@example.com\n\r\n'],
  ['names of columns in any case', ' Distinct_ID , EMAIL \n1,ada@example.com\n2,bob@example.com\n'],
  ['names of columns in quotes', '"distinct_id";" Email"\n1;ada@example.com\n2;bob@example.com\n'],
  [
    'NDJSON with keys in any case',
    '{"Distinct_Id":1,"Email":"ada@example.com"}\r\n{"DISTINCT_ID":"2","email":"bob@example.com"}',
  ],
  [
    'NDJSON after a byte order mark',
    '\uFEFF\n{"distinct_id":1,"email":"ada@example.com"}\r{"distinct_id":"2","email":"bob@example.com"}\r',
  ],
];

test.for(TWO)('two people: %s', async ([, content]) => {
  expect(await peopleOf(content)).toEqual([ADA, BOB]);
});

test('only the documented columns are a userId', async () => {
  const people = await peopleOf(
    'email,user_id,userId,Iterable_User_Id\nmia@example.com,412,413,u-1\nleo@example.com,\\N,NULL,\n',
  );
  expect(people).toEqual([
    { distinctId: 'mia@example.com', email: 'mia@example.com', userId: 'u-1' },
    { distinctId: 'leo@example.com', email: 'leo@example.com', userId: null },
  ]);
});

const EXCEL = 'the file is a workbook of Excel';
const zipOf = (name: string) => {
  const header = Buffer.alloc(30);
  header.writeUInt32BE(0x504b0304);
  header.writeUInt16LE(name.length, 26);
  return Uint8Array.from(Buffer.concat([header, Buffer.from(name), Buffer.alloc(2_000)]));
};
const REFUSED: [string, string | Uint8Array<ArrayBuffer>, string[]][] = [
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

test.for(REFUSED)('refused by name and line: %s', async ([, content, faults]) => {
  const blob = typeof content === 'string' ? content : new Blob([content]);
  expect(await faultsOf(app.api, 'Refused', blob)).toEqual(faults.map((fault) => `input.file: ${fault}`));
});

test('what was understood of a file is told', async () => {
  expect(
    await readingOf('Distinct_ID;City;email; \n1;Ulm;a@example.com\n;;\n1;;A@example.com\n2;;\n'),
  ).toEqual({
    warning: null,
    file: {
      format: 'CSV',
      delimiter: ';',
      columns: ['distinct_id', 'email'],
      ignoredColumns: ['City'],
      rows: 3,
      emptyRows: 1,
      repeatedRows: 1,
    },
  });
  const { file } = await readingOf('{"email":"a@example.com","plan":1}\n\n{"$email":"b@example.com"}\n');
  expect(file).toEqual({
    format: 'NDJSON',
    delimiter: null,
    columns: ['email', '$email'],
    ignoredColumns: [],
    rows: 2,
    emptyRows: 0,
    repeatedRows: 0,
  });
});

test('lines that repeat a distinct_id with another e-mail are told of, until the next file', async () => {
  const names = ['ada', 'bob', 'cyd', 'dan', 'eve'];
  const excel = `distinct_id,email\n${names.map((name) => `1.01540E+16,${name}@example.com`).join('\n')}\n7,x@example.com\n`;
  const { warning, file } = await readingOf(excel);
  expect(warning).toMatch(
    /^4 lines repeat the distinct_id of an earlier line with another e-mail \(line 3, 4, 5, 6\)\. Only the first line/,
  );
  expect(file).toMatchObject({ rows: 6, repeatedRows: 4 });
  const many = `distinct_id,email\n${Array.from({ length: 15 }, (_, index) => `1,p${index}@example.com`).join('\n')}`;
  expect((await readingOf(many)).warning).toContain('(line 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 4 more)');
  expect((await readingOf(PLAIN)).warning).toBeNull();
});
