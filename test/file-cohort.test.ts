import { expect, test } from 'vitest';
import { faultsOf, IMPORT, type ImportedCohort, importFile } from './support/import-file.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const listOf = (app: TestApp, cohort: ImportedCohort) =>
  app.iterable.membersOf(`mixpanel_${cohort.name}_${cohort.externalId}`);

/** Imports a file, exports it and gives who is on the list. */
async function exported(app: TestApp, content: string | Blob): Promise<string[]> {
  const cohort = await importFile(app.api, 'Uploaded', content);
  await app.syncToEnd(cohort.id);
  return listOf(app, cohort);
}

test('the main job works without Mixpanel: a file reaches its list', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const cohort = await importFile(
    app.api,
    'Newsletter',
    'distinct_id,email\na,a@example.com\nb,B@Example.com\nc,\n',
  );
  expect(cohort).toMatchObject({
    source: 'FILE',
    name: 'Newsletter',
    memberCount: 3,
    present: true,
    exportable: true,
  });
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'PARTIALLY_SUCCEEDED', counts: { members: 3, added: 2, rejected: 1 } });
  expect(listOf(app, cohort)).toEqual(['a@example.com', 'b@example.com']);
  expect(app.sandbox.calls.all.filter((call) => call.operation.startsWith('mixpanel'))).toEqual([]);
});

test.for([
  ['CSV', 'distinct_id,email\n1,a@example.com\n2,b@example.com\n'],
  [
    'CSV with Windows line ends and a byte order mark',
    '\uFEFFdistinct_id,email\r\n1,a@example.com\r\n2,b@example.com',
  ],
  [
    'CSV with quotes, commas and line breaks in fields',
    'name,"email",note\n"A, the ""first""",a@example.com,"two\nlines"\nB,"b@example.com",\n',
  ],
  [
    'CSV with further columns in any order',
    'plan,$email,city,$distinct_id\nfree,a@example.com,Rome,1\npro,b@example.com,,2\n',
  ],
  ['CSV with nothing but e-mails', 'email\na@example.com\n\nb@example.com\n\n'],
  [
    'NDJSON',
    '{"distinct_id":"1","$email":"a@example.com"}\n{"distinct_id":"2","email":"b@example.com","x":[1]}\n',
  ],
  [
    'NDJSON with a byte order mark and blank lines',
    '\uFEFF\n{"email":"a@example.com"}\r\n\r\n{"email":" b@example.com "}',
  ],
  [
    'NDJSON with numbers for ids',
    '{"distinct_id":1,"email":"a@example.com"}\n{"distinct_id":2,"email":"b@example.com"}\n',
  ],
] as const)('a file is understood: %s', async ([, content]) => {
  await using app = await startTestApp();
  await app.connectIterable();
  expect(await exported(app, content)).toEqual(['a@example.com', 'b@example.com']);
});

test('userIds come from the file too, numbers as their decimal strings', async () => {
  await using app = await startTestApp({ iterable: { type: 'USER_ID' } });
  await app.connectIterable();
  const content =
    '{"distinct_id":"a","$iterable_user_id":12345678901}\n{"distinct_id":"b","$iterable_user_id":"u-2"}\n';
  expect(await exported(app, content)).toEqual(['12345678901', 'u-2']);
});

test('a person who is in the file twice counts once, as in the first row', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const cohort = await importFile(
    app.api,
    'Twice',
    'distinct_id,email\n1,first@example.com\n1,second@example.com\n2,b@example.com\n',
  );
  expect(cohort.memberCount).toBe(2);
  const run = await app.syncToEnd(cohort.id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', counts: { members: 2, added: 2 } });
  expect(listOf(app, cohort)).toEqual(['b@example.com', 'first@example.com']);
});

test('bad lines are told by their numbers, and the old members stay', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  const cohort = await importFile(app.api, 'Trial', 'email\na@example.com\nb@example.com\n');
  expect(
    await faultsOf(
      app.api,
      'Trial',
      'distinct_id,email,city\n1,c@example.com,\n,,Ulm\n3,d@example.com,,more\n4,e@example.com\n,,Bern\n',
    ),
  ).toEqual([
    'input.file: line 3: has neither a distinct_id nor an e-mail.',
    'input.file: line 4: has 4 columns, the header row has 3.',
    'input.file: line 6: has neither a distinct_id nor an e-mail.',
  ]);
  expect(
    await faultsOf(
      app.api,
      'Trial',
      '{"email":"c@example.com"}\n{"email":\n[1]\n{}\n{"distinct_id":{}}\n{"distinct_id":1.2345678901234567e19}\n',
    ),
  ).toEqual([
    'input.file: line 2: is not JSON.',
    'input.file: line 3: is no JSON object.',
    'input.file: line 4: has neither a distinct_id nor an e-mail.',
    'input.file: line 5: its distinct_id is neither text nor a number that is written out.',
    'input.file: line 6: its distinct_id is neither text nor a number that is written out.',
  ]);
  await app.syncToEnd(cohort.id);
  expect(listOf(app, cohort)).toEqual(['a@example.com', 'b@example.com']);
  const { cohorts } = await app.api.query('{ cohorts { edges { node { id memberCount } } } }');
  expect(cohorts.edges).toEqual([{ node: { id: cohort.id, memberCount: 2 } }]);
});

test('of many bad lines the first twenty are told, the others counted', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const faults = await faultsOf(app.api, 'Bad', `distinct_id,email,city\n${',,Ulm\n'.repeat(50)}`);
  expect(faults).toHaveLength(21);
  expect(faults[0]).toBe('input.file: line 2: has neither a distinct_id nor an e-mail.');
  expect(faults[20]).toBe('input.file: and 30 more lines.');
});

test.for([
  ['an empty file', '', 'the file has no rows.'],
  ['nothing but blanks', ' \n\n', 'the file has no rows.'],
  ['a header without rows', 'email\n', 'the file has no rows.'],
  [
    'a header without a known column',
    'name,city\nA,Rome\n',
    'line 1: the header row must name a column distinct_id, $distinct_id, email or $email (CSV), or each line must be a JSON object (NDJSON).',
  ],
  ['a quote that never closes', 'email\n"a@example.com\n', 'line 2: is not valid CSV (quote not closed).'],
  [
    'another encoding',
    new Blob([Buffer.from('email\na@example.com\nm\xfcller@example.com\n', 'latin1')]),
    'line 3: is not valid UTF-8 text.',
  ],
  [
    'a character that breaks off',
    new Blob([Buffer.from('email\na@example.com\n'), new Uint8Array([0x62, 0xc3])]),
    'line 3: is not valid UTF-8 text.',
  ],
  [
    'a stray quote',
    'email\na@example.com\nfoo "bar"@example.com\n',
    'line 3: is not valid CSV (invalid opening quote).',
  ],
  [
    'a JSON array',
    '[{"email":"a@example.com"}]',
    'line 1: a JSON array is not taken; write one object on each line (NDJSON).',
  ],
] as const)('a file is refused: %s', async ([, content, fault]) => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  expect(await faultsOf(app.api, 'Refused', content)).toContain(`input.file: ${fault}`);
  expect((await app.api.query('{ cohorts { totalCount } }')).cohorts.totalCount).toBe(0);
  const left = await app.app.sync.db.selectFrom('cohort_file_members').selectAll().execute();
  expect(left).toEqual([]);
});

test('an upload with a token needs no further header', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  const file = { name: 'people.csv', content: 'email\na@example.com\n' };
  const { data } = await app.api.upload(IMPORT, { input: { name: 'Trial' } }, file, {});
  expect(data.importCohort.memberCount).toBe(1);
});

test('a name that will not do is refused, whatever is in the file', async () => {
  await using app = await startTestApp({ env: { ROLES: 'gateway' } });
  expect(await faultsOf(app.api, ' ', 'email\na@example.com\n')).toEqual([
    'input.name: must have 1 to 200 characters, not only blanks.',
  ]);
});
