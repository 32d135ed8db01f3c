import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase } from '../db/connect.ts';
import { isMigrated } from '../db/migrate.ts';
import { createTestDatabase, type TestDatabase } from './support/database.ts';
import { startService } from './support/service-process.ts';

const MIGRATIONS = resolve(import.meta.dirname, '../db/migrations');

/** Every merged migration, with the SHA-256 of its file. A new one is added here; a line that is here stays. */
const FROZEN = {
  '0001-initial.ts': 'bb3ec7af65145646339a18ade6ffaa96b4eb0320f374a4747b4eb73a060c4d1c',
  '0002-connections.ts': '913b97b25512c6a01d5367ab930b21c0a2be45de7719539c860e71d3e458bd2a',
  '0003-blocks.ts': '7d1bc3349bc498faf52064f2867f1eac2cdbecb17df3846db9c04e9d9b6de4e9',
  '0006-ledger-retention.ts': 'bf2bf1737b0be2f1ae0e9fdd0e64c0943675dd1642ea235796fc650b4de17647',
  '0007-people-segments.ts': 'dff513c46c0d0b3e5cbefc1b063a944e948308bd0f9936fbf32b7b14270fc060',
  '0008-removal-guard.ts': 'c277a46f56ed29c3989046242ddbbd077a0be7ecd9150876f016c1a09c2474e5',
  '0009-turns.ts': '296bf48fc293a8f8a05faf3193bcbf775b905f7b554aec5696f8e875dd670a82',
  '0010-mixpanel-queries.ts': '809c91c042275c92a13888f02af13a2fec91450278ee0352028865bf1bf0b8db',
  '0011-mixpanel-webhook.ts': '82afe0f9f72843b04a1fc72838c35e1b0b4ca4e8688630845bf8ab1eabe13964',
  '0012-messaging.ts': 'be42a5e6a92a8cf9d124b25a509febe7a40ad1823b90837e0f287568cefa715f',
  '0013-events-set-aside.ts': '9858a50950341b3f8be5ec30cde06c2020d223cf4c9412784b595431324a9759',
  '0014-announce-queries.ts': '079180e770f654f4420001286c0d777beb03d38c1d2cfaff2ba9e320452e3c26',
  '0015-rate-limits.ts': 'f9482c7d733d971d54e9741f3819f44fef8b7adef7ed5910e216218ec4f5b919',
  '0016-source-notes.ts': '068996d9c67e6ee3958e347e5fd59b7cd6c31cc0a7a4b83a01e914d3cc076ca2',
  '0017-run-facts.ts': '74ed7e3c2ee916cba14ff107ac241c902c27aa3a72c491688979e20eeeca0d91',
  '0018-cancel-requested-by.ts': 'bea193d7ef864bcec3cb2d11217a3251fa83708918cb1343bbfc971046179961',
};

test('merged migrations are frozen', async () => {
  const hashes: Record<string, string> = {};
  for (const name of await readdir(MIGRATIONS)) {
    const text = await readFile(resolve(MIGRATIONS, name));
    hashes[name] = createHash('sha256').update(text).digest('hex');
  }
  expect(hashes).toEqual(FROZEN);
});

test('ten processes that bring an empty database up to date at once all end well', {
  timeout: 120_000,
}, async () => {
  const database = await createTestDatabase({ template: false });
  const env = { DATABASE_URL: database.url, ENCRYPTION_KEY: Buffer.alloc(32).toString('base64') };
  const processes = Array.from({ length: 10 }, () => startService(env, 'src/migrate-main.ts'));
  try {
    expect(await Promise.all(processes.map((one) => one.exited()))).toEqual(Array(10).fill(0));
    for (const one of processes) expect(one.output()).toBe('The database is up to date.\n');
    const connected = connectDatabase({ url: database.url });
    expect(await isMigrated(connected.db)).toBe(true);
    await connected.stop();
  } finally {
    await Promise.all(processes.map((one) => one[Symbol.asyncDispose]()));
    await database.drop();
  }
});

/** A batch of one person. */
const newBatch = (kind: string, runAndNumber: string) =>
  `insert into sync_batches (export_id, kind, run_id, number, size, keys, fingerprints, people)
   values (1, '${kind}', ${runAndNumber}, 1, decode(md5('a'), 'hex'), '\\x0000000000000000', '[]')`;

let database: TestDatabase;
let client: pg.Client;

beforeAll(async () => {
  database = await createTestDatabase();
  client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(`
    insert into projects (name, is_first, created_at) values ('First', true, now()), ('Other', false, now());
    insert into integrations (project_id, provider) values (1, 'ITERABLE'), (2, 'ITERABLE');
    insert into api_tokens (project_id, name, role, secret_hash, created_at)
      values (1, 'Token', 'OWNER', sha256('secret'), now());
    insert into mixpanel_connections (project_id, region, mixpanel_project_id, id_merge, service_account_username,
      service_account_secret, status, connected_at, next_refresh_at)
      values (1, 'US', '7', 'ORIGINAL', 'user', 'sealed', 'CONNECTED', now(), now());
    insert into cohorts (project_id, source, external_id, name, refreshed_at)
      values (1, 'MIXPANEL', '42', 'Trial', now()), (1, 'FILE', 'file-1', 'Guests', now());
    insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, list_id, created_at)
      values (1, 1, 1, 'DYNAMIC', 'ACTIVE', 'mixpanel_Trial_42', 500, now());
    insert into sync_runs (project_id, export_id, trigger, queued_at) values (1, 1, 'MANUAL', now());
    ${newBatch('ADD', '1, 0')};
  `);
});

afterAll(async () => {
  await client.end();
  await database.drop();
});

const UNIQUE = '23505';
const CHECK = '23514';
const FOREIGN_KEY = '23503';

const newRun = (columns: string, values: string) =>
  `update sync_runs set status = 'FAILED', phase = 'DONE', finished_at = now();
   insert into sync_runs (project_id, export_id, trigger, queued_at${columns}) values (1, 1, 'MANUAL', now()${values})`;
const connect = (set: string) =>
  `update integrations set status = 'CONNECTED', data_center = 'US', project_type = 'EMAIL', user_id_fallback = 'NONE',
   connected_at = now(), api_key = 'sealed', ${set} where id = 1`;

test.each([
  // Projects and tokens
  ['a second first project', UNIQUE, `update projects set is_first = true`],
  ['a project without a name', CHECK, `update projects set name = ''`],
  ['a token of a role that there is not', CHECK, `update api_tokens set role = 'ROOT'`],
  [
    'a token whose secret is kept as anything but a SHA-256',
    CHECK,
    `update api_tokens set secret_hash = 'secret'`,
  ],
  [
    'two tokens with one secret',
    UNIQUE,
    `insert into api_tokens (project_id, name, role, secret_hash, created_at)
     select project_id, name, role, secret_hash, created_at from api_tokens`,
  ],
  // Partners
  [
    'a second Mixpanel connection of a project',
    UNIQUE,
    `insert into mixpanel_connections (project_id, region, mixpanel_project_id, id_merge, service_account_username,
       service_account_secret, status, connected_at, next_refresh_at)
     values (1, 'EU', '8', 'ORIGINAL', 'user', 'sealed', 'CONNECTED', now(), now())`,
  ],
  [
    'a Mixpanel connection that needs attention without saying why',
    CHECK,
    `update mixpanel_connections set status = 'NEEDS_ATTENTION'`,
  ],
  [
    'a second integration with one provider',
    UNIQUE,
    `insert into integrations (project_id, provider) values (1, 'ITERABLE')`,
  ],
  ['a disconnected integration that still has a key', CHECK, `update integrations set api_key = 'sealed'`],
  [
    'a connected integration without a key',
    CHECK,
    connect('api_key = null').replace("api_key = 'sealed', ", ''),
  ],
  [
    'a connected integration without a project type',
    CHECK,
    connect('project_type = null').replace("project_type = 'EMAIL', ", ''),
  ],
  [
    'an integration that needs attention without saying why',
    CHECK,
    connect(`status = 'NEEDS_ATTENTION'`).replace("status = 'CONNECTED', ", ''),
  ],
  ['a removal guard above the whole list', CHECK, connect('guard_max_share = 1.5')],
  // Cohorts and exports
  [
    'a cohort of one source twice',
    UNIQUE,
    `insert into cohorts (project_id, source, external_id, name, refreshed_at)
     values (1, 'MIXPANEL', '42', 'Again', now())`,
  ],
  [
    'two file cohorts of one name',
    UNIQUE,
    `insert into cohorts (project_id, source, external_id, name, refreshed_at)
     values (1, 'FILE', 'file-2', 'Guests', now())`,
  ],
  [
    'a second export of a cohort to an integration',
    UNIQUE,
    `insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, created_at)
     values (1, 1, 1, 'ONE_TIME', 'STOPPED', 'other', now())`,
  ],
  [
    'two exports to one list',
    UNIQUE,
    `insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, list_id, created_at)
     values (1, 2, 1, 'ONE_TIME', 'ACTIVE', 'other', 500, now())`,
  ],
  [
    'an export of a cohort that there is not',
    FOREIGN_KEY,
    `insert into exports (project_id, cohort_id, integration_id, sync_type, status, list_name, created_at)
     values (1, 99, 1, 'ONE_TIME', 'ACTIVE', 'other', now())`,
  ],
  ['an export in a state that there is not', CHECK, `update exports set status = 'WAITING'`],
  ['an export of a type that there is not', CHECK, `update exports set sync_type = 'HOURLY'`],
  // Runs
  [
    'a second active run of an export',
    UNIQUE,
    `insert into sync_runs (project_id, export_id, trigger, queued_at) values (1, 1, 'SCHEDULED', now())`,
  ],
  ['a run in a state that there is not', CHECK, `update sync_runs set status = 'PAUSED'`],
  ['a run in a phase that there is not', CHECK, `update sync_runs set phase = 'THINKING'`],
  ['a run that is over and has no end', CHECK, `update sync_runs set status = 'FAILED', phase = 'DONE'`],
  ['a run that has an end and goes on', CHECK, `update sync_runs set finished_at = now()`],
  [
    'a run that is over in another phase than DONE',
    CHECK,
    newRun(', status, finished_at', `, 'FAILED', now()`),
  ],
  ['a run that is more than done', CHECK, `update sync_runs set progress = 1.5`],
  [
    'counts that are more than the members',
    CHECK,
    `update sync_runs set members = 1, added = 1, rejected = 1`,
  ],
  [
    'a success that left members unprocessed',
    CHECK,
    newRun(', status, phase, finished_at, members', `, 'SUCCEEDED', 'DONE', now(), 1`),
  ],
  ['a cause of an end that nobody asked for', CHECK, `update sync_runs set cancel_cause = 'REQUEST'`],
  ['an error without a message', CHECK, `update sync_runs set error_code = 'INTERNAL'`],
  ['a batch of nobody', CHECK, `update sync_batches set size = 0`],
  ['a batch in a state that there is not', CHECK, `update sync_batches set state = 'LOST'`],
  ['two batches of one number', UNIQUE, newBatch('REMOVE', '1, 0')],
  ['a batch without a key for everybody', CHECK, `update sync_batches set size = 2`],
  ['a batch that is in a ledger and found on the list', CHECK, newBatch('LISTED', '1, 1')],
  ['people on a list of whom nothing says who', CHECK, `update sync_batches set live_count = 1`],
  ['an answer that came at no time', CHECK, `update sync_batches set state = 'SETTLED'`],
  // Rejections
  [
    'a rejection for a reason that there is not',
    CHECK,
    `insert into rejections (export_id, since_run_id, rejected_at, fingerprint, key, distinct_id, reason)
     values (1, 1, now(), 0, md5('b')::uuid, 'b', 'WHIM')`,
  ],
])('the database refuses %s', async (_what, code, statements) => {
  await client.query('begin');
  try {
    await expect(client.query(statements)).rejects.toMatchObject({ code });
  } finally {
    await client.query('rollback');
  }
});
