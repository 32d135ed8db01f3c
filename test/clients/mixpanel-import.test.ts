import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startBareSandbox } from '../support/bare-sandbox.ts';
import { people } from '../support/people.ts';

/** The clock of the sandbox stands there. */
const NOW = Date.parse('2030-01-01T00:00:00Z');
const PROGRAM = join(import.meta.dirname, 'mixpanel-import.ts');

/** The client beside a project of a sandbox, in a folder of its own. */
async function startImporter() {
  const { sandbox } = await startBareSandbox();
  const project = sandbox.mixpanel.addProject({ defaultPageSize: 2 });
  const { username, secret } = project.addServiceAccount();
  const folder = await mkdtemp(join(tmpdir(), 'mixpanel-import-'));
  const origins = {
    'https://api.mixpanel.com': sandbox.env.MIXPANEL_INGESTION_BASE_URL_US,
    'https://mixpanel.com': sandbox.env.MIXPANEL_BASE_URL_US,
  };
  return {
    sandbox,
    project,
    account: { acct: username, pass: secret, project: project.id },
    async run(credentials: object, records: readonly object[], options: object): Promise<unknown> {
      const file = join(folder, 'records.ndjson');
      await writeFile(file, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
      const input = [origins, credentials, file, options].map((one) => JSON.stringify(one));
      const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM, ...input], { cwd: folder });
      return JSON.parse(stdout.split('\n').at(-2) ?? '');
    },
    async [Symbol.asyncDispose]() {
      await sandbox.stop();
      await rm(folder, { recursive: true });
    },
  };
}

const toEvent = (index: number, time: number = NOW - index) => ({
  event: 'Opened',
  properties: { time, distinct_id: `u-${index}`, $insert_id: `i-${index}`, $source: 'test', ip: 0 },
});

test('mixpanel-import imports a file of events and names the ones that are refused', async () => {
  await using importer = await startImporter();
  const { project, account, run } = importer;
  const records = [...Array.from({ length: 2_100 }, (_, index) => toEvent(index)), toEvent(2_100, 1.5)];
  expect(await run(account, records, { recordType: 'event', compress: true })).toMatchObject({
    success: 2_100,
    failed: 1,
    errors: { "'properties.time' is invalid: must be specified as seconds since epoch": 1 },
  });
  expect(project.imported.distinct()).toHaveLength(2_100);
  expect(importer.sandbox.calls.complaints).toEqual([]);
});

test('mixpanel-import needs no more than the token or the secret of a project', async () => {
  await using importer = await startImporter();
  const { token, secret, imported } = importer.project;
  const importAs = (credentials: object) => importer.run(credentials, [toEvent(1)], { recordType: 'event' });
  expect(await importAs({ token })).toMatchObject({ success: 1 });
  expect(await importAs({ secret })).toMatchObject({ success: 1 });
  expect(await importAs({ token: 'wrong' })).toMatchObject({ success: 0 });
  expect(imported.accepted).toBe(2);
});

test('mixpanel-import writes profiles and reads them back, page by page', async () => {
  await using importer = await startImporter();
  const { project, account, run } = importer;
  const { id } = project.addCohort({ name: 'People', members: people(4) });
  const update = { $token: project.token, $distinct_id: 'new', $set: { $email: 'new@example.com' } };
  expect(await run({ token: project.token }, [update], { recordType: 'user' })).toMatchObject({ success: 1 });
  const options = { recordType: 'profile-export', skipWriteToDisk: true };
  const { dryRun: profiles } = (await run(account, [], options)) as { dryRun: { $distinct_id: string }[] };
  expect(new Set(profiles.map((one) => one.$distinct_id)).size).toBe(5);
  expect(importer.sandbox.calls.of('mixpanel.engage').map(({ page }) => page)).toEqual([0, 1, 2]);
  expect(await run(account, [], { ...options, cohortId: id })).toMatchObject({ dryRun: { length: 4 } });
  const filtered = { ...options, whereClause: 'properties["$email"] == "new@example.com"' };
  expect(await run(account, [], filtered)).toMatchObject({
    dryRun: [{ $distinct_id: 'new', $properties: { $email: 'new@example.com' } }],
  });
});
