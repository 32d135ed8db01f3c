import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { startTestApp, type TestApp } from '../support/test-app.ts';

const run = promisify(execFile);
// Left out where it is missing, but not in CI, which installs it.
const hasCurl = await run('curl', ['--version']).then(
  ({ stdout }) => stdout.includes('HTTP2'),
  () => false,
);

async function curl(app: TestApp, ...args: string[]): Promise<string> {
  const headers = ['-H', `authorization: Bearer ${app.ownerSecret}`];
  return (await run('curl', ['-s', ...headers, ...args])).stdout;
}

test.skipIf(!hasCurl && process.env.CI === undefined)(
  'curl that would like HTTP/2 is answered all the same, by POST and GET',
  async () => {
    await using app = await startTestApp({ env: { ROLES: 'gateway' } });
    const json = ['-H', 'content-type: application/json', '-d', '{"query":"{ viewer { role } }"}'];
    const answer = '{"data":{"viewer":{"role":"OWNER"}}}';
    const url = `${app.url}/graphql`;
    expect(await curl(app, '--http2', url, ...json)).toBe(answer);
    expect(await curl(app, '--http2', `${url}?query=%7Bviewer%7Brole%7D%7D`)).toBe(answer);
    expect(await curl(app, '--http2', `${app.url}/health`)).toBe('{"status":"ok"}');
  },
);

test.skipIf(!hasCurl && process.env.CI === undefined)(
  'the upload that README shows works as it stands there',
  async () => {
    await using app = await startTestApp({ env: { ROLES: 'gateway' } });
    const readme = await readFile(resolve(import.meta.dirname, '../../README.md'), 'utf8');
    const command = readme.match(/```sh\n(printf .+?)```/s)![1]!.replaceAll('http://127.0.0.1:4000', app.url);
    const directory = await mkdtemp(join(tmpdir(), 'readme-'));
    await writeFile(join(directory, 'upload.sh'), command);
    const { stdout } = await run('sh', ['upload.sh'], {
      cwd: directory,
      env: { ...process.env, TOKEN: app.ownerSecret },
    });
    expect(JSON.parse(stdout)).toMatchObject({ data: { importCohort: { name: 'Guests', memberCount: 2 } } });
    await rm(directory, { recursive: true });
  },
);
