import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { createTestDatabase } from './support/database.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const TOKEN = `owner-${'0'.repeat(32)}`;
const MEGABYTE = 1024 ** 2;
const ROWS = 200_000;
/** Most of a kilobyte a row that the service has no use for: the file as a whole would not go unnoticed in memory. */
const NOTE = 'x'.repeat(700);
/** What Node's heap takes and gives back as it likes. */
const ALLOWANCE = 100 * MEGABYTE;

/** The service in a process of its own, so that nothing of the test counts as its memory. */
async function startService(databaseUrl: string) {
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      ROLES: 'gateway',
      DATABASE_URL: databaseUrl,
      ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
      BOOTSTRAP_TOKEN: TOKEN,
      LOG_FORMAT: 'json',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    url = line.startsWith('{') ? JSON.parse(line).url : undefined;
    if (url !== undefined) break;
  }
  return {
    url: url!,
    memoryBytes: () =>
      Number(execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)], { encoding: 'utf8' })) * 1024,
    async [Symbol.asyncDispose]() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
    },
  };
}

/** A multipart body that is made while it is sent. */
function bodyOf(rows: number, onRow: (row: number) => void): ReadableStream<Uint8Array> {
  const query = 'mutation ($input: ImportCohortInput!) { importCohort(input: $input) { memberCount } }';
  const fields = {
    operations: JSON.stringify({ query, variables: { input: { name: `Of ${rows}`, file: null } } }),
    map: JSON.stringify({ 0: ['variables.input.file'] }),
  };
  const encoder = new TextEncoder();
  let row = -1;
  return new ReadableStream({
    pull(controller) {
      let text = '';
      if (row === -1) {
        for (const [name, value] of Object.entries(fields))
          text += `--edge\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
        text +=
          '--edge\r\ncontent-disposition: form-data; name="0"; filename="people.csv"\r\n\r\nemail,note\n';
        row = 0;
      }
      for (const end = Math.min(rows, row + 500); row < end; row++)
        text += `person-${row}@example.com,${NOTE}\n`;
      onRow(row);
      if (row >= rows) text += '\r\n--edge--\r\n';
      controller.enqueue(encoder.encode(text));
      if (row >= rows) controller.close();
    },
  });
}

test('a file of 200,000 rows and 140 megabytes is imported in bounded memory', async () => {
  const database = await createTestDatabase();
  try {
    await using service = await startService(database.url);
    let peakBytes = 0;
    const measure = () => {
      peakBytes = Math.max(peakBytes, service.memoryBytes());
    };
    const send = async (rows: number) => {
      const response = await fetch(`${service.url}/graphql`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${TOKEN}`,
          'content-type': 'multipart/form-data; boundary=edge',
          'graphql-require-preflight': '1',
        },
        body: bodyOf(rows, (row) => row % 10_000 === 0 && measure()),
        duplex: 'half',
      } as RequestInit);
      measure();
      return await response.json();
    };
    expect(await send(60_000)).toEqual({ data: { importCohort: { memberCount: 60_000 } } });
    const usualBytes = peakBytes;
    expect(await send(ROWS)).toEqual({ data: { importCohort: { memberCount: ROWS } } });
    expect(peakBytes - usualBytes).toBeLessThan(ALLOWANCE);
  } finally {
    await database.drop();
  }
}, 180_000);
