import type { Db } from '../../db/connect.ts';
import { loadPeople } from '../../db/queries/list-block.ts';
import type { ListedPeople } from './listed-people.ts';
import type { Person } from './member-record.ts';
import { parseRows, toPerson } from './people-block.ts';
import { readAhead } from './read-ahead.ts';

/** Rows that are read in one statement, some 100 kB each. */
const BLOCKS_PER_QUERY = 16;

/** What is known of these people on the list, by their numbers. Each block is read once. */
export async function readPeople(
  db: Db,
  listed: ListedPeople,
  numbers: readonly number[],
): Promise<Map<number, Person>> {
  const byBlock = new Map<string, { number: number; index: number }[]>();
  for (const number of numbers) {
    const { blockId, index } = listed.placeOf(number);
    const wanted = byBlock.get(blockId);
    if (wanted) wanted.push({ number, index });
    else byBlock.set(blockId, [{ number, index }]);
  }
  const people = new Map<number, Person>();
  const ids = [...byBlock.keys()];
  let from = 0;
  const loadNext = async () => {
    if (from >= ids.length) return undefined;
    const wanted = ids.slice(from, from + BLOCKS_PER_QUERY);
    from += BLOCKS_PER_QUERY;
    return await loadPeople(db, wanted);
  };
  for await (const blocks of readAhead(loadNext)) {
    for (const block of blocks) {
      const rows = parseRows(block.people);
      for (const { number, index } of byBlock.get(block.id)!) people.set(number, toPerson(rows[index]!));
    }
  }
  return people;
}
