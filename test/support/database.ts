import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import pg from 'pg';
import { inject } from 'vitest';

export const TEMPLATE_DATABASE = 'cohort_sync_template';

export function urlOfDatabase(serverUrl: string, name: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A database of the test's own: migrated, or empty when template is false. */
export async function createTestDatabase({ template = true } = {}): Promise<TestDatabase> {
  const serverUrl = inject('serverUrl');
  const name = `test_${randomBytes(6).toString('hex')}`;
  await onServer(serverUrl, `create database ${name} ${template ? `template ${TEMPLATE_DATABASE}` : ''}`);
  return {
    url: urlOfDatabase(serverUrl, name),
    drop: () => onServer(serverUrl, `drop database if exists ${name} with (force)`),
  };
}

/** A connection costs some twenty milliseconds, and each test would open two. */
let connecting: Promise<pg.Client> | undefined;

async function connectServer(serverUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: serverUrl });
  const forget = () => {
    connecting = undefined;
  };
  client.on('error', forget);
  client.on('end', forget);
  await client.connect();
  return client;
}

let last: Promise<void> = Promise.resolve();

/** Runs a statement on the server, one at a time over all processes. */
export function onServer(serverUrl: string, statement: string): Promise<void> {
  const run = last.then(() => runOnServer(serverUrl, statement));
  last = run.catch(() => undefined);
  return run;
}

async function runOnServer(serverUrl: string, statement: string): Promise<void> {
  connecting ??= connectServer(serverUrl);
  const client = await connecting.catch((error) => {
    connecting = undefined;
    throw error;
  });
  // It is there until the process ends, and keeps it only while it is asked something.
  const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
  stream.ref();
  try {
    // Two files that clone the template at the same moment would be in each other's way.
    await client.query('select pg_advisory_lock(1)');
    try {
      await client.query(statement);
    } finally {
      await client.query('select pg_advisory_unlock(1)');
    }
  } finally {
    stream.unref();
  }
}
