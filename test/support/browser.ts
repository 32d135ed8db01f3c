import { existsSync } from 'node:fs';
import { type BrowserContext, chromium } from 'playwright-core';

/** A Chromium of this machine; undefined where there is none. */
export const browserPath = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
].find((path) => path !== undefined && existsSync(path));
/** Its tests are left out where it is missing, but not in CI, which installs it. */
export const lacksBrowser = browserPath === undefined && process.env.CI === undefined;

export interface Visit extends AsyncDisposable {
  context: BrowserContext;
  /** What the browser asked for, of our host and others. */
  addresses: string[];
  /** What a page did or wanted to do against its Content-Security-Policy, and errors that it did not catch. */
  complaints: string[];
}

/** A browser that has never been here. */
export async function startBrowser(): Promise<Visit> {
  const browser = await chromium.launch({
    executablePath: browserPath!,
    args: ['--no-sandbox', '--disable-background-networking'],
  });
  const context = await browser.newContext();
  const addresses: string[] = [];
  const complaints: string[] = [];
  context.on('request', (request) => addresses.push(request.url()));
  context.on('console', (line) => {
    if (line.type() === 'error' || /Content.Security.Policy/i.test(line.text())) complaints.push(line.text());
  });
  context.on('weberror', (error) => complaints.push(String(error.error())));
  return { context, addresses, complaints, [Symbol.asyncDispose]: () => browser.close() };
}
