import { resolve } from 'node:path';
import { chromium } from 'playwright-core';

/**
 * Makes the pictures of the documents from a service that runs, as it is after the tour's step 7:
 * `TOKEN=… node scripts/screenshots.ts [http://127.0.0.1:4000]`.
 */
const { TOKEN } = process.env;
if (!TOKEN) throw new Error('TOKEN must be a token of the service.');
const url = process.argv[2] ?? 'http://127.0.0.1:4000';
const OPERATION = `{
  exports {
    edges {
      node {
        listName
        syncType
        listSize
        lastRun {
          status
          counts {
            members
            added
            removed
            rejected
          }
        }
      }
    }
  }
}
`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM_PATH ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-background-networking'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
  await page.goto(`${url}/graphql?query=${encodeURIComponent(OPERATION)}`);
  await page.getByRole('button', { name: 'Headers' }).click();
  await page.locator('.graphiql-editor-tool .monaco-editor').last().click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText(JSON.stringify({ authorization: `Bearer ${TOKEN}` }));
  // The editor closes quotes and brackets by itself once more.
  await page.keyboard.press('ControlOrMeta+Shift+End');
  await page.keyboard.press('Delete');
  await page.getByRole('button', { name: 'Documentation Explorer' }).click();
  await page.locator('.graphiql-plugin', { hasText: 'SyncRun' }).waitFor();
  await page.getByRole('button', { name: 'Execute query' }).click();
  await page.locator('.result-window', { hasText: 'SUCCEEDED' }).waitFor();
  // The token is no part of the picture.
  await page.getByRole('button', { name: 'Hide editor tools' }).click();
  await page.screenshot({ path: resolve(import.meta.dirname, '../docs/images/graphiql.png') });
} finally {
  await browser.close();
}
