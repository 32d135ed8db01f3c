import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createImportClient } from '../src/events/import-client.ts';
import { createIterableClient } from '../src/sync/iterable/client.ts';
import { createMixpanelClient } from '../src/sync/sources/mixpanel/client.ts';

interface Partner extends AsyncDisposable {
  baseUrl: string;
}

async function startPartner(answer: (response: ServerResponse) => void): Promise<Partner> {
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    request.resume().once('end', () => answer(response));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const { signal } = new AbortController();
const mixpanel = { projectId: '7', username: 'user', secret: 'secret' };
/** One call of each client; gives the message of what went wrong. */
const CALLS: Record<string, (baseUrl: string) => Promise<string>> = {
  'a list update': (baseUrl) =>
    messageOf(
      createIterableClient({ baseUrl, apiKey: 'key' }).subscribe('1', [{ email: 'ann@example.com' }]),
    ),
  'a read of a list': (baseUrl) => messageOf(readAll(baseUrl)),
  'the cohort list': (baseUrl) => messageOf(createMixpanelClient({ baseUrl, ...mixpanel }).listCohorts()),
  'the members of a cohort': (baseUrl) =>
    messageOf(createMixpanelClient({ baseUrl, ...mixpanel }).queryMembers({ cohortId: '1', page: 0 })),
  'an import': async (baseUrl) =>
    (await createImportClient({ baseUrl, ...mixpanel }).importEvents(['{}'], signal)).kind,
};

async function messageOf(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => '',
    (error: Error) => error.message,
  );
}

async function readAll(baseUrl: string): Promise<string[]> {
  const client = createIterableClient({ baseUrl, apiKey: 'key' });
  const all: string[] = [];
  for await (const lines of client.getUsers('1', { preferUserId: false }))
    for (const line of lines) all.push(line);
  return all;
}

const LETTERS = [100_000, 5_000_000].flatMap((count) =>
  Object.keys(CALLS).flatMap((call) =>
    [
      { status: 400, letter: 'x' },
      { status: 500, letter: '<' },
      { status: 429, letter: '1' },
    ].map(({ status, letter }) => ({ call, count, status, letter })),
  ),
);

test.each(LETTERS)('$count times "$letter" in the $status of $call hold nobody up', async (given) => {
  const { call, count, status, letter } = given;
  await using partner = await startPartner((response) =>
    response.writeHead(status).end(letter.repeat(count)),
  );
  // What another caller would wait for.
  let longestMs = 0;
  let isOver = false;
  const beat = (async () => {
    for (let before = performance.now(); !isOver; before = performance.now()) {
      await wait(5);
      longestMs = Math.max(longestMs, performance.now() - before);
    }
  })();
  const message = await CALLS[call]!(partner.baseUrl);
  isOver = true;
  await beat;
  expect(message.length).toBeLessThan(600);
  // 6.4 s for 100,000 letters when all of them were looked at.
  expect(longestMs).toBeLessThan(2_000);
});

test('a reason names nobody, also where it is cut', async () => {
  const words = `${'No. '.repeat(20)}${'<p>'.repeat(630)}${'ann.'.repeat(30)}smith@example.com ${'x'.repeat(9_000)}`;
  await using partner = await startPartner((response) => response.writeHead(400).end(words));
  expect(await CALLS['a list update']!(partner.baseUrl)).not.toContain('ann.');
});

test.each(Object.keys(CALLS))('an answer of %s that does not end is not read for ever', async (call) => {
  let sentBytes = 0;
  await using partner = await startPartner((response) => {
    response.writeHead(200);
    const send = () => {
      while (!response.destroyed) {
        sentBytes += 65_536;
        if (!response.write('x'.repeat(65_536))) return void response.once('drain', send);
      }
    };
    send();
  });
  expect(await CALLS[call]!(partner.baseUrl)).not.toBe('');
  expect(sentBytes).toBeLessThan(100_000_000);
});

test.each(['a list update', 'the cohort list', 'the members of a cohort', 'an import'])(
  'an answer of %s that would need more memory than there is is not made anything of',
  async (call) => {
    await using partner = await startPartner((response) =>
      response.writeHead(200).end(`[${'{},'.repeat(1_200_000)}{}]`),
    );
    expect(await CALLS[call]!(partner.baseUrl)).toMatch(/something that is not JSON|BUSY/);
  },
);

test('a list is read to its end, however its lines are cut into pieces', async () => {
  const lines = Array.from({ length: 2_000 }, (_, index) => `person-${index}@example.com`);
  await using partner = await startPartner((response) => response.end(lines.join('\n')));
  expect(await readAll(partner.baseUrl)).toEqual(lines);
});

const LISTS: [string, string][] = [
  ['a first line that looks like an array', '[object Object]\nzz1\n'],
  ['a first line that looks like an element', '<nil>\nzz1'],
  ['lines that look like JSON', '{"a":1}\n[]\n{}\n'],
  ['a line that looks like an object', '{zz1}'],
  ['blanks before it', `${' \n'.repeat(300)}<nil>`],
  ['more than any page', `{\n${'{}\n'.repeat(400_000)}`],
  ['a comment as its first line', '<!-- none -->\nzz1\nzz2'],
  ['elements as its first lines', '<html>\n<?xml ?>\nzz1\n'],
  ['more elements than any page', `<html>\n${'<p>\n'.repeat(400_000)}`],
  ['numbers', '17\n'],
  ['nothing', ' \n'],
];

test.each(LISTS)('a list is read whatever its lines look like: %s', async (_what, body) => {
  await using partner = await startPartner((response) => response.end(body));
  const lines = body.split('\n').filter((line) => line.trim() !== '');
  expect((await readAll(partner.baseUrl)).length).toBe(lines.length);
});

const PAGES: [string, string][] = [
  ['HTML', '<!DOCTYPE html><html><body>Sign in</body></html>'],
  ['HTML after blanks, in pieces', `\n  <HTML lang="en">\n${'<p>\n'.repeat(50_000)}`],
  ['XHTML', '<?xml version="1.0"?>\n<html/>'],
  ['a JSON object', '{"msg":"Success",\n"code":"Success","params":null}'],
  ['a JSON array on many lines', `[\n${'"a@example.com",\n'.repeat(5_000)}"b@example.com"\n]\n`],
];

test.each(PAGES)('a page is no list: %s', async (_what, body) => {
  await using partner = await startPartner(async (response) => {
    for (let at = 0; at < body.length; at += 1_000) {
      response.write(body.slice(at, at + 1_000));
      await new Promise(setImmediate);
    }
    response.end();
  });
  await expect(readAll(partner.baseUrl)).rejects.toThrow('something that is not a list');
});
