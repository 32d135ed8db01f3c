import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { lacksBrowser, startBrowser } from './support/browser.ts';
import { startPrefixProxy } from './support/prefix-proxy.ts';
import { startTestApp } from './support/test-app.ts';

const asBrowser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
const gateway = (env: Record<string, string> = {}) => startTestApp({ env: { ROLES: 'gateway', ...env } });

/** What the page loads, by its own word. */
async function assetsOf(url: string): Promise<string[]> {
  const page = await (await fetch(`${url}/graphql`, { headers: asBrowser })).text();
  return [...page.matchAll(/(?:src|href)="(graphql[^"]+)"/g)].map(([, path]) => `${url}/${path}`);
}

test.skipIf(lacksBrowser)(
  'in a browser, below a path of a proxy, GraphiQL runs a query and a subscription, and needs nobody else',
  async () => {
    await using app = await startTestApp();
    await app.connectIterable();
    await using proxy = await startPrefixProxy(app.url, '/tools/sync');
    await using visit = await startBrowser();
    const page = await visit.context.newPage();
    page.setDefaultTimeout(60_000);
    const shows = (expected: RegExp) =>
      expect.poll(() => page.locator('.result-window').textContent(), { timeout: 60_000 }).toMatch(expected);

    await page.goto(`${proxy.url}/`);
    await page.getByRole('link', { name: 'GraphiQL' }).click();
    await page.waitForURL(`${proxy.url}/graphql`);
    const query = 'query Who { viewer { role } } subscription Watch { integrationUpdated { status } }';
    await page.goto(`${proxy.url}/graphql?query=${encodeURIComponent(query)}`);
    await page.getByRole('button', { name: 'Headers' }).click();
    await page.locator('.graphiql-editor-tool .monaco-editor').last().click();
    await page.keyboard.press('ControlOrMeta+A');
    await page.keyboard.insertText(JSON.stringify({ authorization: `Bearer ${app.ownerSecret}` }));
    // The editor closes quotes and brackets by itself once more.
    await page.keyboard.press('ControlOrMeta+Shift+End');
    await page.keyboard.press('Delete');
    // The schema is read as soon as the token is there.
    await page.getByRole('button', { name: 'Documentation Explorer' }).click();
    const documentation = page.locator('.graphiql-plugin');
    await expect.poll(() => documentation.textContent(), { timeout: 60_000 }).toContain('SyncRunConnection');

    await page.getByRole('button', { name: 'Execute query' }).click();
    await page.getByRole('menuitem', { name: 'Who' }).click();
    await shows(/"role":\s"OWNER"/);
    await page.getByRole('button', { name: 'Execute query' }).click();
    await page.getByRole('menuitem', { name: 'Watch' }).click();
    await shows(/"status":\s"CONNECTED"/);
    await page.reload();
    await expect.poll(() => documentation.textContent(), { timeout: 60_000 }).toContain('SyncRunConnection');

    // The page asks for the schema before it has a token.
    expect(visit.complaints.filter((complaint) => !complaint.includes('401'))).toEqual([]);
    const elsewhere = visit.addresses.filter((address) => !/^(data|blob):/.test(address));
    expect(elsewhere.filter((address) => !address.startsWith(`${proxy.url}/`))).toEqual([]);
    // The editors' own threads too.
    expect(elsewhere.filter((address) => /\/(editor|json|graphql)-\w+\.js$/.test(address))).not.toEqual([]);
  },
  180_000,
);

test('the page is small, and what it loads is named by its content, compressed and kept for ever', async () => {
  await using app = await gateway();
  const page = await fetch(`${app.url}/graphql`, { headers: asBrowser });
  expect(page.headers.get('cache-control')).toBe('no-cache');
  expect((await page.text()).length).toBeLessThan(10_000);
  const unchanged = await fetch(`${app.url}/graphql`, {
    headers: { ...asBrowser, 'if-none-match': page.headers.get('etag')! },
  });
  expect([unchanged.status, await unchanged.text()]).toEqual([304, '']);

  const assets = await assetsOf(app.url);
  expect(assets).toHaveLength(2);
  for (const address of assets) {
    const compressed = await fetch(address, { headers: { 'accept-encoding': 'br, gzip' } });
    expect(Object.fromEntries(compressed.headers)).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      vary: 'accept-encoding',
      'x-content-type-options': 'nosniff',
    });
    const content = await compressed.text();
    const plain = await fetch(address, { headers: { 'accept-encoding': 'gzip;q=0' } });
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect((await plain.text()) === content).toBe(true);
    const hash = createHash('sha256').update(content).digest('hex').slice(0, 16);
    expect(address).toContain(`-${hash}.`);
  }
  expect((await fetch(`${app.url}/graphql/assets/graphiql-0123456789abcdef.js`)).status).toBe(404);
});

test.for([
  ['packed', 'Accept-Encoding: gzip\r\n'],
  ['unpacked', ''],
] as const)(
  'a hundred readers who do not read cost no copy of what they asked for: %s',
  async ([, accepts]) => {
    await using app = await gateway();
    const script = (await assetsOf(app.url)).find((address) => address.endsWith('.js'))!;
    await (await fetch(script)).arrayBuffer();
    const { pathname } = new URL(script);
    const before = process.memoryUsage();
    const callers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
        await once(socket, 'connect');
        socket.write(`GET ${pathname} HTTP/1.1\r\nHost: x\r\n${accepts}\r\n`);
        await once(socket, 'readable');
        return socket;
      }),
    );
    const after = process.memoryUsage();
    const grownBytes = after.external + after.heapUsed - before.external - before.heapUsed;
    // One copy each would be 150 MB, or 530 unpacked.
    expect(grownBytes).toBeLessThan(40_000_000);
    expect((await fetch(`${app.url}/health`)).status).toBe(200);
    for (const socket of callers) socket.destroy();
  },
);

test.each(['application/json, text/html;q=0.5', 'text/html;q=0, */*', '*/*'])(
  'a program that accepts %s is answered as a program',
  async (accept) => {
    await using app = await gateway();
    expect((await fetch(`${app.url}/graphql`, { headers: { accept } })).status).toBe(401);
  },
);

test('with GRAPHIQL=off there is no page, and the first page does not promise one', async () => {
  await using app = await gateway({ GRAPHIQL: 'off' });
  expect((await fetch(`${app.url}/graphql`, { headers: asBrowser })).status).toBe(401);
  const welcome = await (await fetch(app.url, { headers: asBrowser })).text();
  expect(welcome).toContain('Authorization: Bearer');
  expect(welcome).not.toMatch(/GraphiQL|href="graphql"/);
});

test('pages may load nothing of others, be framed by nobody, and give no address away', async () => {
  await using app = await gateway();
  for (const path of ['/', '/graphql']) {
    const { headers } = await fetch(`${app.url}${path}`, { headers: asBrowser });
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    const policy = headers.get('content-security-policy')!;
    for (const directive of [
      "default-src 'none'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ])
      expect(policy).toContain(directive);
    expect(policy).not.toMatch(/unsafe-eval|script-src[^;]*unsafe|https?:|\*/);
  }
});

test('answers of the API are kept by nobody and are no page', async () => {
  await using app = await gateway();
  for (const [path, init] of [
    ['/health', {}],
    ['/nowhere', {}],
    ['/graphql', { method: 'POST', body: '{}' }],
    [
      '/graphql?query={__typename}',
      { headers: { authorization: `Bearer ${app.ownerSecret}`, accept: 'application/json' } },
    ],
  ] as const) {
    const { headers } = await fetch(`${app.url}${path}`, init);
    expect([path, Object.fromEntries(headers)]).toEqual([
      path,
      expect.objectContaining({
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
        'referrer-policy': 'no-referrer',
        'x-content-type-options': 'nosniff',
      }),
    ]);
  }
});
