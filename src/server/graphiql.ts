import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createGunzip } from 'node:zlib';
import { acceptsGzip, wantsPage } from './negotiate.ts';
import { pageHeaders } from './security-headers.ts';

const PAGE_PATH = '/graphql';
const ASSETS_PATH = '/graphql/assets/';
const YEAR_SECONDS = 31_536_000;
/** The program takes a second of an idle processor and prints 3.2 MB. It is given none of our secrets. */
const PREPARE = { timeout: 60_000, maxBuffer: 16_000_000, env: {} };

/** Each unpacks for itself, half a megabyte at a time. Every browser takes gzip, so nobody waits for this in earnest. */
const MAX_UNPACKING = 16;

export interface Graphiql {
  /** Answers what belongs to the page; false when the request is for something else. */
  handle(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> | false;
}

/** A file of the page, compressed. `name` changes with what is in it. */
export interface GraphiqlFile {
  name: string;
  type: 'text/javascript' | 'text/css';
  /** gzip, in base64. */
  content: string;
}

/** What src/server/graphiql-files-main.ts prints. */
export interface GraphiqlFiles {
  script: GraphiqlFile;
  style: GraphiqlFile;
  workers: GraphiqlFile[];
}

interface Asset {
  type: string;
  /** gzip. All answers share it; none copies it, however long its reader takes. */
  content: Buffer;
}

interface Site {
  page: string;
  etag: string;
  assets: ReadonlyMap<string, Asset>;
}

/** GraphiQL for browsers, without a token: it asks for one itself. All of it comes from here. */
export function createGraphiql(): Graphiql {
  let site: Promise<Site> | undefined;
  let unpacking = 0;

  function getSite(): Promise<Site> {
    site ??= prepareSite().catch((error) => {
      // The next request tries again.
      site = undefined;
      throw error;
    });
    return site;
  }

  async function sendPage(request: IncomingMessage, response: ServerResponse) {
    const { page, etag } = await getSite();
    const headers = {
      // Monaco writes style elements of its own as it goes.
      ...pageHeaders({
        'script-src': "'self'",
        'worker-src': "'self'",
        'style-src': "'self' 'unsafe-inline'",
        'img-src': "'self' data:",
        'font-src': "'self' data:",
        'connect-src': "'self'",
      }),
      'cache-control': 'no-cache',
      // Programs get answers of the API at the same address.
      vary: 'accept',
      etag,
    };
    if (request.headers['if-none-match']?.includes(etag)) return void response.writeHead(304, headers).end();
    response.writeHead(200, { ...headers, 'content-type': 'text/html; charset=utf-8' }).end(page);
  }

  async function sendAsset(request: IncomingMessage, response: ServerResponse, name: string) {
    const asset = (await getSite()).assets.get(name);
    if (!asset) {
      response.writeHead(404, { 'content-type': 'application/json; charset=utf-8' });
      return void response.end('{"error":"There is no such file. Load the page again."}');
    }
    response.setHeaders(
      new Headers({
        ...pageHeaders({}),
        'content-type': `${asset.type}; charset=utf-8`,
        'cache-control': `public, max-age=${YEAR_SECONDS}, immutable`,
        vary: 'accept-encoding',
      }),
    );
    if (acceptsGzip(request)) {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': asset.content.length });
      return void response.end(asset.content);
    }
    if (request.method === 'HEAD') return void response.end();
    if (unpacking >= MAX_UNPACKING) {
      return void response.writeHead(503, { 'retry-after': '5', 'cache-control': 'no-store' }).end();
    }
    unpacking += 1;
    const gunzip = createGunzip();
    gunzip.end(asset.content);
    // A reader who leaves is no failure.
    await pipeline(gunzip, response).catch(() => response.destroy());
    unpacking -= 1;
  }

  return {
    handle(request, response, path) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return false;
      if (path.startsWith(ASSETS_PATH)) return sendAsset(request, response, path.slice(ASSETS_PATH.length));
      return path === PAGE_PATH && wantsPage(request) && sendPage(request, response);
    },
  };
}

/**
 * Gets the files from a process of their own: unpacked they are 9 MB of text, and making them takes ten times that, which
 * this process would not give back.
 */
async function prepareSite(): Promise<Site> {
  const program = join(import.meta.dirname, 'graphiql-files-main.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [program], PREPARE);
  const { script, style, workers } = JSON.parse(stdout) as GraphiqlFiles;
  const assets = new Map(
    [script, style, ...workers].map(({ name, type, content }) => [
      name,
      { type, content: Buffer.from(content, 'base64') },
    ]),
  );
  const page = renderPage(script.name, style.name);
  return { page, etag: `"${createHash('sha256').update(page).digest('hex').slice(0, 16)}"`, assets };
}

/** Addresses are relative, so that the page works below any path of a proxy. */
function renderPage(script: string, style: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Cohort Sync: GraphiQL</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="graphql/assets/${style}">
</head>
<body class="no-focus-outline">
<noscript>GraphiQL needs JavaScript.</noscript>
<div id="root"></div>
<script src="graphql/assets/${script}"></script>
</body>
</html>
`;
}
