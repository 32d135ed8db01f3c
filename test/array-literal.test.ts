import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { toTextArray } from '../db/array-literal.ts';
import { connectDatabase } from '../db/connect.ts';
import { createTestDatabase } from './support/database.ts';

test('any text reaches the database as it is', async () => {
  const texts = [
    'plain@example.com',
    '',
    null,
    'null',
    'NULL',
    '"quoted"',
    'back\\slash',
    'back\\nslash',
    '{braces},and commas',
    ' blanks ',
    'line\nbreak\tand tab',
    'späße 漢字 🎈',
    "it's",
  ];
  const database = await createTestDatabase({ template: false });
  const { db, stop } = connectDatabase({ url: database.url });
  for (const values of [texts, ...texts.map((text) => [text, 'other'])]) {
    const { rows } = await sql<{ text: string | null }>`
      select text from unnest(${toTextArray(values)}::text[]) with ordinality as given (text, place) order by place
    `.execute(db);
    expect(rows.map((row) => row.text)).toEqual(values);
  }
  await stop();
  await database.drop();
});
