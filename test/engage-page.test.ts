import { expect, test } from 'vitest';
import { createRandom, type Random } from '../sandbox/random.ts';
import { parseJson } from '../src/json.ts';
import { MixpanelUnexpectedAnswerError } from '../src/sync/sources/mixpanel/errors.ts';
import { readPage } from '../src/sync/sources/mixpanel/read-page.ts';

interface Page {
  session_id: unknown;
  page_size: unknown;
  total?: unknown;
  results: Row[];
}

type Row = null | {
  $distinct_id?: unknown;
  $properties?: { $email?: unknown; $iterable_user_id?: unknown } | null;
};

/** By a text that is not blank, or a whole number with all its digits. */
function isNamed(result: Row): boolean {
  const id = result?.$distinct_id;
  return (
    (typeof id === 'string' && id.trim() !== '') ||
    typeof id === 'bigint' ||
    (typeof id === 'number' && Math.abs(id) < 2 ** 53)
  );
}

/** What a page says, read the plain way. */
function readPlainly(bytes: Uint8Array) {
  const page = parseJson(new TextDecoder().decode(bytes)) as Page;
  return {
    sessionId: page.session_id,
    pageSize: page.page_size,
    total: page.total ?? null,
    members: page.results.filter(isNamed).map((result) => ({
      distinctId: String(result!.$distinct_id),
      email: result!.$properties?.$email,
      userId: result!.$properties?.$iterable_user_id,
    })),
    unreadable: page.results.filter((result) => !isNamed(result)).length,
  };
}

const pick = <T>(random: Random, values: readonly T[]): T => values[Math.floor(random() * values.length)]!;

const TEXTS = [
  '',
  ' ',
  'ada@mail.example',
  'ADA@Mail.Example ',
  'züri@mail.example',
  '😀',
  '\uFEFFmarked',
  'say "hi"',
  'back\\slash',
  'two\nlines',
  'results',
  '"results": [{"$distinct_id": "x"}]',
  'null',
  'x'.repeat(70_000),
  '\ud800',
];
/** Numbers as they are spelt; JSON.stringify would spell them otherwise. */
const NUMBERS = [
  '10154012345678901',
  '-9007199254740993',
  '-0',
  '1.0',
  '1e5',
  '123456789012345678901234',
  '9007199254740991.4',
  '1e400',
].map((text) => `#${text}#`);
const OTHERS = [
  ...NUMBERS,
  null,
  0,
  12345678901,
  -1.5,
  true,
  {},
  { $email: 'inner@mail.example' },
  [1, 'two'],
  [],
];

function randomObject(random: Random, names: readonly string[], value: (name: string) => unknown): object {
  const entries = names.filter(() => random() < 0.8).map((name) => [name, value(name)]);
  entries.sort(() => random() - 0.5);
  return Object.fromEntries(entries);
}

/** How much of it is unusual differs from page to page: most are read where they lie. */
function randomPage(random: Random): object {
  const strangeness = pick(random, [0, 0, 0.02, 0.3]);
  const text = () =>
    random() < strangeness ? pick(random, TEXTS) : `person-${Math.floor(random() * 1e9)}@mail.example`;
  const value = () => (random() < strangeness ? pick(random, OTHERS) : random() < 0.1 ? null : text());
  const rows = Array.from({ length: Math.floor(random() * 8) }, () => ({
    ...randomObject(random, ['last_seen', '$distinct_uuid'], value),
    $distinct_id:
      random() < strangeness ? pick(random, [17, 'x', '"', '', null, true, {}, ...NUMBERS]) : text(),
    ...randomObject(random, ['$properties', 'then'], (name) =>
      name === 'then'
        ? value()
        : randomObject(random, ['$email', '$iterable_user_id', 'email', '$name'], value),
    ),
  }));
  return {
    ...randomObject(random, ['page', 'status', 'total'], (name) => (name === 'total' ? rows.length : 'ok')),
    session_id: 'a-session',
    page_size: 1_000,
    ...(random() < strangeness ? { more: { results: [{ $distinct_id: 'inner' }] } } : {}),
    results: rows,
    ...randomObject(random, ['computed_at', 'nothing'], () => null),
  };
}

/** As Python writes JSON, as JavaScript does, with and without escapes for what is not ASCII, and over many lines. */
function spell(random: Random, page: object): string {
  const style = pick(random, ['compact', 'python', 'ascii', 'pretty']);
  if (style === 'pretty') return JSON.stringify(page, null, 2);
  const text = JSON.stringify(page);
  if (style === 'python') return JSON.stringify(page, null, 1).replace(/,\n */g, ', ').replace(/\n */g, '');
  if (style === 'ascii') {
    return text.replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  }
  return text;
}

const spellNumbers = (text: string) => text.replace(/"#([-\d.e]+)#"/g, '$1');

const outcomeOf = (read: () => unknown) => {
  try {
    return read();
  } catch {
    return 'refused';
  }
};

test.each([1, 2, 3, 4])('pages say the same however they are spelt (seed %i)', (seed) => {
  const random = createRandom(seed);
  for (let round = 0; round < 250; round++) {
    const text = spellNumbers(spell(random, randomPage(random)));
    expect(readPage(Buffer.from(text)), text.slice(0, 2_000)).toEqual(readPlainly(Buffer.from(text)));
  }
});

test.each([5, 6, 7, 8])('a damaged page is refused whenever it is no JSON (seed %i)', (seed) => {
  const random = createRandom(seed);
  let refused = 0;
  for (let round = 0; round < 500; round++) {
    const bytes = Buffer.from(spellNumbers(spell(random, randomPage(random))));
    const at = Math.floor(random() * bytes.length);
    const damaged = random() < 0.5 ? bytes.subarray(0, at) : Buffer.from(bytes);
    if (damaged.length === bytes.length)
      damaged[at] = pick(random, [0, 10, 32, 34, 44, 58, 92, 93, 125, 200]);
    const expected = outcomeOf(() => readPlainly(damaged));
    const told = outcomeOf(() => readPage(damaged));
    // A shape that is not documented may be refused as well.
    if (told === 'refused') refused++;
    else expect(told, damaged.toString().slice(0, 2_000)).toEqual(expected);
    if (expected !== 'refused' && told === 'refused') {
      expect(() => readPage(damaged)).toThrow(MixpanelUnexpectedAnswerError);
    }
  }
  expect(refused).toBeGreaterThan(100);
});
