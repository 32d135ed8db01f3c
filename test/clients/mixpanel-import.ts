import { createRequire } from 'node:module';

/**
 * Runs mixpanel-import and prints its summary as JSON. A process of its own, because that client listens to signals and to
 * what nobody catches. Its hosts are fixed: its requests are turned to other origins, and all the rest is as it comes.
 *
 * Arguments, as JSON: the origins by Mixpanel's; credentials; data; options.
 */
const [origins = {}, credentials = {}, data = '', options = {}] = process.argv
  .slice(2)
  .map((text) => JSON.parse(text));
/** Nobody listens there: what no sandbox plays must not reach anybody. */
const NOWHERE = 'http://127.0.0.1:1';
const turn = (origin: string): string => origins[origin] ?? NOWHERE;
const require = createRequire(createRequire(import.meta.url).resolve('mixpanel-import'));

const undici = require('undici') as { Pool: new (origin: string, settings: object) => object };
undici.Pool = class extends undici.Pool {
  constructor(origin: string, settings: object) {
    super(turn(origin), settings);
  }
};

type Got = { extend(options: object): Got };
const got = require('got') as Got;
const beforeRequest = [
  (request: { url: URL }) => {
    request.url = new URL(request.url.href.replace(request.url.origin, turn(request.url.origin)));
  },
];
require.cache[require.resolve('got')]!.exports = got.extend({ hooks: { beforeRequest } });

type Run = (credentials: object, data: unknown, options: object) => Promise<Record<string, unknown>>;
const run = require('mixpanel-import') as Run;
const { success, failed, total, errors, dryRun } = await run(credentials, data, options);
process.stdout.write(`${JSON.stringify({ success, failed, total, errors, dryRun })}\n`);
// Its pools stay open.
process.exit(0);
