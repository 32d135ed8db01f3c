import { lutimes, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { BodyError } from '../src/server/body.ts';
import { createUploads } from '../src/server/upload.ts';
import { importFile } from './support/import-file.ts';
import { openUpload, operationsOf, partOf, startOf } from './support/raw-upload.ts';
import { startTestApp } from './support/test-app.ts';
import { makeToken } from './support/tokens.ts';

const gateway = () => startTestApp({ env: { ROLES: 'gateway' } });
const before = process.env.TMPDIR;
let folder: string;

/** A temporary folder in which nobody else uploads. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cohort-sync-test-'));
  process.env.TMPDIR = folder;
});

afterEach(async () => {
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  await rm(folder, { recursive: true, force: true });
});

const uploads = async () => (await readdir(folder)).filter((name) => name.startsWith('cohort-sync-upload-'));

test('who may not upload is told so before the file has come, and none of it is kept', async () => {
  await using app = await gateway();
  const { secret } = await makeToken(app, 'CONSUMER');
  using caller = await openUpload(app.url, secret, startOf());
  const answer = await caller.until(/FORBIDDEN/);
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(answer).toContain('"code":"FORBIDDEN"');
  expect(await uploads()).toEqual([]);
});

test('operations and map are enough for a refusal', async () => {
  await using app = await gateway();
  const { secret } = await makeToken(app, 'ANALYST');
  using caller = await openUpload(app.url, secret, [...startOf().slice(0, 2), '--a-boundary\r\n']);
  expect(await caller.until(/FORBIDDEN/)).toContain('FORBIDDEN');
});

const [operations, map, file] = startOf() as [string, string, string];
const withQuery = (query: string) => startOf({ operations: operationsOf(query) });

test.for([
  ['a document that cannot be parsed', withQuery('mutation {'), 'Syntax Error'],
  ['a field that is not there', withQuery('mutation { importCohorts { id } }'), 'Cannot query field'],
  [
    'no operation',
    startOf({ operations: '{"variables":{"input":{"file":null}}}' }),
    'query: must be a string',
  ],
  ['a query', withQuery('query ($input: ImportCohortInput) { viewer { role } }'), 'is never used'],
  [
    'a mutation that takes no file',
    withQuery('mutation ($input: StartSyncInput!) { startSync(input: $input) { id } }'),
    'where no file is taken',
  ],
  [
    'a mutation that runs twice',
    withQuery(
      'mutation ($input: ImportCohortInput!) { a: importCohort(input: $input) { id } b: importCohort(input: $input) { id } }',
    ),
    'a mutation of one field',
  ],
  [
    'a file where a name is taken',
    startOf({ operations: operationsOf(undefined, { name: null }), map: '{"0":["variables.input.name"]}' }),
    'where no file is taken',
  ],
  ['two parts', startOf({ map: '{"0":["variables.input.file"],"1":["variables.input.name"]}' }), 'one part'],
  ['two paths', startOf({ map: '{"0":["variables.input.file","variables.input.name"]}' }), 'one path'],
  [
    'a part that the map does not name',
    startOf({ map: '{"1":["variables.input.file"]}' }),
    'does not name the part',
  ],
  ['a file before the fields', [file, operations, map], 'must come before the file'],
  ['the map before operations', [map, operations, file], 'is not expected'],
  ['a third field', [operations, map, partOf('more', 'x'), file], 'operations, map and one file'],
  ['a second file', [operations, map, file, partOf('1', 'x', 'b.csv')], 'operations, map and one file'],
  ['a map that is no JSON', [operations, partOf('map', '{'), file], 'JSON object'],
  ['two megabytes before the first part', [' '.repeat(2_400_000), operations, map], 'besides the file'],
  [
    'a head of a part without an end',
    [operations, map, `--a-boundary\r\n${'x: y\r\n'.repeat(400_000)}`],
    'besides',
  ],
] as const)('an upload without an end is refused at once: %s', async ([, parts, message]) => {
  await using app = await gateway();
  using caller = await openUpload(app.url, app.ownerSecret, [...parts, '']);
  const answer = await caller.until(/"errors"/);
  expect(answer).toContain(message);
  expect(answer).toContain('BAD_USER_INPUT');
  await expect.poll(uploads).toEqual([]);
});

test('text after the last part is ignored', async () => {
  await using app = await gateway();
  using caller = await openUpload(app.url, app.ownerSecret, startOf());
  caller.sendMore('\r\n--a-boundary--\r\nand more');
  caller.send('0\r\n\r\n');
  expect(await caller.until(/importCohort/)).toContain('"memberCount":1');
});

test('a project has two uploads under way, and a third one is told when to come again', async () => {
  await using app = await gateway();
  const first = await openUpload(app.url, app.ownerSecret, startOf());
  using second = await openUpload(app.url, app.ownerSecret, startOf());
  await expect.poll(uploads).toHaveLength(2);
  using third = await openUpload(app.url, app.ownerSecret, startOf());
  const refused = await third.until(/RATE_LIMITED/);
  expect(refused).toMatch(/^HTTP\/1\.1 429 .*retry-after: 10\r\n.*"retryAfterSeconds":10/is);
  first.socket.destroy();
  await expect.poll(uploads).toHaveLength(1);
  expect((await importFile(app.api, 'Other', 'email\na@example.com\n')).memberCount).toBe(1);
  second.end();
  expect(await second.until(/memberCount/)).toContain('"memberCount":1');
  await expect.poll(uploads).toEqual([]);
});

test('an upload that drips in is broken off with 408, and nothing of it is left', async () => {
  const door = createUploads({ paceWindowMs: 300 });
  const server = createServer((request, response) => {
    door.receive(request, { projectId: '1', check: () => undefined }).catch((error: BodyError) => {
      response.writeHead(error.status).end(error.message);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  using caller = await openUpload(`http://127.0.0.1:${port}`, 'x', [operations, map, file]);
  const dripping = setInterval(() => caller.sendMore('a@example.com\n'), 100);
  expect(await caller.until(/slowly/)).toMatch(/^HTTP\/1\.1 408 /);
  clearInterval(dripping);
  await expect.poll(uploads).toEqual([]);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

test('the service starts whatever lies in the temporary folder, and removes only uploads of its own', async () => {
  const old = new Date(Date.now() - 48 * 3_600_000);
  const at = (name: string) => join(folder, `cohort-sync-upload-${name}`);
  await writeFile(join(folder, 'precious'), 'x');
  await writeFile(at('abandoned'), 'x');
  await writeFile(at('going-on'), 'x');
  await mkdir(at('folder'));
  await symlink(join(folder, 'precious'), at('link'));
  await utimes(join(folder, 'precious'), old, old);
  await utimes(at('abandoned'), old, old);
  await utimes(at('folder'), old, old);
  await lutimes(at('link'), old, old);
  await using app = await gateway();
  expect((await fetch(`${app.url}/health`)).status).toBe(200);
  expect((await uploads()).sort()).toEqual(
    ['folder', 'going-on', 'link'].map((name) => `cohort-sync-upload-${name}`),
  );
  expect(await readdir(folder)).toContain('precious');
});
