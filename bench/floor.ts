import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { PAGE_SIZE } from './partners.ts';
import { readOptions } from './support/options.ts';
import { type Partners, startPartners } from './support/partners-process.ts';
import { type BenchDatabase, startPostgres } from './support/postgres.ts';
import { median, people, printResults, seconds } from './support/results.ts';
import { CONCURRENCY } from './support/service.ts';

interface Page {
  total: number;
  results: { $distinct_id: string; $properties: { $email: string } }[];
}

/**
 * The least that any sync has to do: read the pages five at a time, parse them, copy everybody into an unlogged table
 * and, with posts, send each page's people. Keeps nothing, checks nothing, survives nothing. Gives the seconds it took.
 */
export async function runFloor(options: {
  partners: Partners;
  client: Client;
  posts: boolean;
}): Promise<number> {
  const { partners, client, posts } = options;
  await client.query('drop table if exists floor_members');
  await client.query('create unlogged table floor_members (distinct_id text, email text)');
  const begun = performance.now();
  await pipeline(
    Readable.from(readPages(partners, posts)),
    client.query(copyFrom('copy floor_members from stdin')),
  );
  return (performance.now() - begun) / 1000;
}

/** Text of COPY, a page at a time. */
async function* readPages(partners: Partners, posts: boolean): AsyncGenerator<string> {
  const first = await readPage(partners, 0);
  const pages = Math.ceil(first.total / PAGE_SIZE);
  const posting = new Set<Promise<void>>();
  const waiting: Promise<Page>[] = [];
  let next = 1;
  for (let page: Page | undefined = first; page; page = await waiting.shift()) {
    while (waiting.length < 5 && next < pages) waiting.push(readPage(partners, next++));
    if (posts) {
      if (posting.size >= CONCURRENCY) await Promise.race(posting);
      const post: Promise<void> = postPeople(partners, page).finally(() => posting.delete(post));
      posting.add(post);
    }
    yield page.results.map((one) => `${one.$distinct_id}\t${one.$properties.$email}\n`).join('');
  }
  await Promise.all(posting);
}

async function readPage(partners: Partners, page: number): Promise<Page> {
  const response = await fetch(`${partners.mixpanelUrl}/api/query/engage`, {
    method: 'POST',
    body: `page=${page}`,
  });
  return (await response.json()) as Page;
}

async function postPeople(partners: Partners, page: Page): Promise<void> {
  const subscribers = page.results.map((one) => ({ email: one.$properties.$email }));
  const response = await fetch(`${partners.iterableUrl}/api/lists/subscribe`, {
    method: 'POST',
    body: JSON.stringify({ listId: 1, subscribers }),
  });
  await response.json();
}

if (import.meta.main) {
  const options = readOptions();
  const members = options.members ?? 1_000_000;
  const rounds = options.rounds ?? 3;
  const partners = await startPartners({ members });
  const postgres = await startPostgres(options.databaseUrl);
  const { client }: BenchDatabase = await postgres.createDatabase();
  const bare: number[] = [];
  const posting: number[] = [];
  for (let round = 0; round < rounds; round++) {
    bare.push(await runFloor({ partners, client, posts: false }));
    posting.push(await runFloor({ partners, client, posts: true }));
  }
  await postgres.stop();
  await partners.stop();
  printResults(`The floor: ${people(members)}, median of ${rounds}`, [
    { what: 'read, parse, COPY', measured: seconds(median(bare)) },
    { what: 'read, parse, COPY, post', measured: seconds(median(posting)) },
  ]);
}
