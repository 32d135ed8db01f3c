import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import { realClock } from '../sandbox/clock.ts';
import { createRateLimit } from '../sandbox/rate-limit.ts';

/**
 * Mixpanel and Iterable, played as cheaply as possible, so that they are not what is measured: pages of people are
 * ready bytes, and list updates are answered without being looked into. Checks nothing; the sandbox does that.
 */

export interface PartnerSettings {
  /** People in every cohort. */
  members: number;
  /** Another number: another one in a hundred of the people. */
  generation?: number;
  /** Writes to Iterable that are let through in any one second; undefined: all. */
  writesPerSecond?: number;
}

export interface PartnerStats {
  /** List updates that were taken, and when each came in, in milliseconds. */
  writes: number[];
  /** Requests answered 429. */
  refused: number;
  people: number;
  /** Imported into Mixpanel. */
  events: number;
}

export const PAGE_SIZE = 1_000;
/** Cohorts that there are; all have the same people. */
const COHORTS = 100;
const CHANGED_ONE_IN = 100;
const LIST_ID = 1_001;
const SESSION = 'bench-session';

let pages: Buffer[] = [];
let settings: PartnerSettings = { members: 0 };
let stats: PartnerStats = { writes: [], refused: 0, people: 0, events: 0 };
let limit = createRateLimit(realClock, 1_000, () => Number.POSITIVE_INFINITY);

function play(changed: PartnerSettings): void {
  const isSameCohort = changed.members === settings.members && changed.generation === settings.generation;
  settings = changed;
  stats = { writes: [], refused: 0, people: 0, events: 0 };
  limit = createRateLimit(realClock, 1_000, () => changed.writesPerSecond ?? Number.POSITIVE_INFINITY);
  if (!isSameCohort || pages.length === 0) pages = buildPages(changed);
}

/** Some 130 bytes a person, in the spelling of Mixpanel's answers. */
function buildPages({ members, generation = 0 }: PartnerSettings): Buffer[] {
  const built: Buffer[] = [];
  for (let from = 0; from < members || from === 0; from += PAGE_SIZE) {
    const rows: string[] = [];
    for (let index = from; index < Math.min(members, from + PAGE_SIZE); index++) {
      const isChanged = generation > 0 && index % CHANGED_ONE_IN === 0;
      const name = `${isChanged ? `join${String(generation).padStart(2, '0')}` : 'person'}${String(index).padStart(7, '0')}`;
      rows.push(
        `{"$distinct_id": "${toUuid(name)}", "$properties": {"$email": "${name}@mail.sample.com", "email": null}}`,
      );
    }
    const head = `{"page": ${from / PAGE_SIZE}, "page_size": ${PAGE_SIZE}, "session_id": "${SESSION}", "status": "ok", "total": ${members}`;
    built.push(Buffer.from(`${head}, "results": [${rows.join(', ')}]}`));
  }
  return built;
}

function toUuid(name: string): string {
  const digits = createHash('md5').update(name).digest('hex');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

async function serveMixpanel(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (request.url?.startsWith('/import')) {
    const count = gunzipSync(body).toString('latin1').split('"$insert_id"').length - 1;
    stats.events += count;
    return answer(response, 200, Buffer.from(`{"code":200,"num_records_imported":${count},"status":"OK"}`));
  }
  if (request.url?.startsWith('/api/query/engage')) {
    const page = pages[Number(new URLSearchParams(body.toString()).get('page') ?? 0)];
    return answer(
      response,
      200,
      page ?? Buffer.from(`{"results": [], "session_id": "${SESSION}", "page_size": ${PAGE_SIZE}}`),
    );
  }
  const cohorts = Array.from({ length: COHORTS }, (_, index) => ({
    id: index + 1,
    name: `Cohort ${String(index + 1).padStart(3, '0')}`,
    count: settings.members,
    data_group_id: null,
  }));
  return answer(response, 200, Buffer.from(JSON.stringify(cohorts)));
}

/** Every list that is made has an id of its own; none is remembered. */
let lastListId = LIST_ID;

async function serveIterable(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (request.url === '/api/lists') {
    const lists = Array.from({ length: lastListId - LIST_ID }, (_, index) => ({
      id: LIST_ID + index + 1,
      name: '',
      listType: 'Standard',
    }));
    if (request.method === 'GET') return answer(response, 200, Buffer.from(JSON.stringify({ lists })));
    return answer(response, 200, Buffer.from(`{"listId": ${++lastListId}}`));
  }
  if (limit.take() > 0) {
    stats.refused++;
    return answer(response, 429, Buffer.from('{"code": "RateLimitExceeded"}'));
  }
  const successCount = body.length < 100 ? 0 : body.toString('latin1').split('"email"').length - 1;
  stats.writes.push(performance.timeOrigin + performance.now());
  stats.people += successCount;
  return answer(response, 200, Buffer.from(`{"successCount": ${successCount}, "failCount": 0}`));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function answer(response: ServerResponse, status: number, body: Buffer): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

function open(serve: (request: IncomingMessage, response: ServerResponse) => Promise<void>): Promise<string> {
  const server = createServer((request, response) => void serve(request, response));
  return new Promise((opened) =>
    server.listen(0, '127.0.0.1', () => opened(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)),
  );
}

if (import.meta.main) {
  const urls = { mixpanelUrl: await open(serveMixpanel), iterableUrl: await open(serveIterable) };
  if (process.send) {
    process.on('message', (message: { set?: PartnerSettings; stats?: true }) => {
      if (message.set) play(message.set);
      process.send?.(message.stats ? stats : { ok: true });
    });
    process.on('disconnect', () => process.exit());
    process.send(urls);
  } else {
    play({ members: 100_000 });
    process.stdout.write(`${JSON.stringify(urls, null, 2)}\n`);
  }
}
