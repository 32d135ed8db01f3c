import { execFile } from 'node:child_process';
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
