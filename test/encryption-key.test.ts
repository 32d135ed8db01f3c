import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type App, startApp } from '../src/app.ts';
import { readEnv } from '../src/env.ts';
import { startTestApp, type TestApp } from './support/test-app.ts';

const newKey = () => randomBytes(32).toString('base64');

async function readStoredSecrets({ database }: TestApp): Promise<string[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query(
    'select api_key as text from integrations union all select service_account_secret from mixpanel_connections',
  );
  await client.end();
  return rows.map((row) => row.text);
}

function startAnother(test: TestApp, encryptionKey: string): Promise<App> {
  return startApp({
    env: readEnv({ ...test.env, ENCRYPTION_KEY: encryptionKey, ROLES: 'gateway' }, false),
    logger: pino({ level: 'silent' }),
  });
}

test('a start with a new key in front encrypts everything anew, and the old key may go afterwards', async () => {
  await using app = await startTestApp();
  await app.connect();
  const before = await readStoredSecrets(app);
  const oldKey = app.env.ENCRYPTION_KEY!;
  const key = newKey();
  await (await startAnother(app, `${key},${oldKey}`)).stop();
  const after = await readStoredSecrets(app);
  expect(after).toHaveLength(2);
  expect(after.filter((text) => before.includes(text))).toEqual([]);
  await (await startAnother(app, key)).stop();
  expect(await readStoredSecrets(app)).toEqual(after);
});

test('a start without the key that the secrets need fails and says so', async () => {
  await using app = await startTestApp();
  await app.connectIterable();
  await expect(startAnother(app, newKey())).rejects.toThrow(/ENCRYPTION_KEY has no key [0-9a-f]{8}/);
});
