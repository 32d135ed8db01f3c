import type { Db } from '../../db/connect.ts';
import { loadPeople } from '../../db/queries/list-block.ts';
import type { ListedPeople } from './listed-people.ts';
import type { Person } from './member-record.ts';
import { decodePeople } from './people-block.ts';

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
  for (let from = 0; from < ids.length; from += BLOCKS_PER_QUERY) {
    for (const row of await loadPeople(db, ids.slice(from, from + BLOCKS_PER_QUERY))) {
      const decoded = decodePeople(row.people);
      for (const { number, index } of byBlock.get(row.id)!) people.set(number, decoded[index]!);
    }
  }
  return people;
}
