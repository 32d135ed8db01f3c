import { beforeAll, expect, test } from 'vitest';
import { importFile } from './support/import-file.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';
import { utf16 } from './support/text-bytes.ts';

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
  [
    "Excel's line of its separator, with a blank",
    'sep=; \ndistinct_id;email\n1;ada@example.com\n2;bob@example.com\n',
  ],
  [
    'the same as often as there are columns, after a blank line',
    '\nSEP=;;;\n\uFEFF"distinct_id";email\n1;ada@example.com\n2;bob@example.com\n',
  ],
  ['a tab that its line names', 'sep=\t\ndistinct_id\temail\n1\tada@example.com\n2\tbob@example.com\n'],
  ['an empty row before the header', `,,\n${PLAIN}`],
  ['empty rows before a header of semicolons', `;;\n"";" ";\n\n , ,\n"\n";;\n${PLAIN.replaceAll(',', ';')}`],
  ["empty rows after Excel's line of its separator", `sep=|\n||\n\n""| |\n${PLAIN.replaceAll(',', '|')}`],
  [
    'semicolons, with a name of two lines',
    '"City,\nor ""place""";distinct_id;email\nUlm;1;ada@example.com\nBern;2;bob@example.com\n',
  ],
  [
    'two byte order marks, and quotes',
    '\uFEFF\uFEFF"distinct_id","email"\n1,ada@example.com\n2,bob@example.com\n',
  ],
  [
    'NDJSON of two files after two byte order marks',
    '\uFEFF\uFEFF{"distinct_id":1,"email":"ada@example.com"}\n\uFEFF{"distinct_id":"2","email":"bob@example.com"}\n',
  ],
  [
    'UTF-16 with two byte order marks',
    utf16(`\uFEFF"distinct_id",${PLAIN.slice('distinct_id,'.length)}`, false),
  ],
  ['UTF-16 with line ends of an old Mac', utf16(PLAIN.replaceAll('\n', '\r'), true)],
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

test('UTF-16 is read in pieces of any size', async () => {
  const names = Array.from({ length: 40_000 }, (_, index) => `${index}😀ß`);
  const text = `distinct_id,email\r\n${names.map((name) => `${name},\r\n`).join('')}`;
  const people = await peopleOf(utf16(text, true));
  expect(people.map(({ distinctId }) => distinctId)).toEqual(names);
});

test('a userId that is a placeholder counts as absent', async () => {
  const people = await peopleOf(
    'email,$iterable_user_id,iterable_user_id\nmia@example.com,NULL,u-1\nleo@example.com,\\N, (null)\n',
  );
  expect(people.map(({ userId }) => userId)).toEqual(['u-1', null]);
});

test('what was understood of a file is told', async () => {
  expect(
    await readingOf(';;;\nDistinct_ID;City;email; \n1;Ulm;a@example.com\n;;\n1;;A@example.com\n2;;\n'),
  ).toEqual({
    warning: null,
    file: {
      format: 'CSV',
      delimiter: ';',
      columns: ['distinct_id', 'email'],
      ignoredColumns: ['City'],
      rows: 3,
      emptyRows: 2,
      repeatedRows: 1,
    },
  });
  const { file } = await readingOf(
    '{"email":"a@example.com","plan":1}\n\n{"$email":"b@example.com"," Plan\\u0000":{"email":2}}\n',
  );
  expect(file).toEqual({
    format: 'NDJSON',
    delimiter: null,
    columns: ['email', '$email'],
    ignoredColumns: ['plan', 'Plan\uFFFD'],
    rows: 2,
    emptyRows: 0,
    repeatedRows: 0,
  });
});

test('lines that repeat a distinct_id with another e-mail or userId are told of, until the next file', async () => {
  const names = ['ada', 'bob', 'cyd', 'dan', 'eve'];
  const excel = `distinct_id,email\n${names.map((name) => `1.01540E+16,${name}@example.com`).join('\n')}\n7,x@example.com\n`;
  const { warning, file } = await readingOf(excel);
  expect(warning).toMatch(
    /^4 lines repeat the distinct_id of an earlier line with another e-mail or userId \(line 3, 4, 5, 6\)\. Only the first line/,
  );
  expect(file).toMatchObject({ rows: 6, repeatedRows: 4 });
  const users = ['u1', 'u2', 'u3'].map((userId) => `1.01540E+16,${userId}\n`).join('');
  expect((await readingOf(`distinct_id,$iterable_user_id\n${users}`)).warning).toContain('(line 3, 4)');
  const shared =
    'email,$iterable_user_id\na@example.com,u1\na@example.com,\na@example.com,u2\na@example.com,null\n';
  expect((await readingOf(shared)).warning).toMatch(/^1 line repeats .* \(line 4\)/);
  const many = `distinct_id,email\n${Array.from({ length: 15 }, (_, index) => `1,p${index}@example.com`).join('\n')}`;
  expect((await readingOf(many)).warning).toContain('(line 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 and 4 more)');
  expect((await readingOf(PLAIN)).warning).toBeNull();
});
