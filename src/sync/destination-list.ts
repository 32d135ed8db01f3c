import { type Destination, unexpectedAnswer } from './destination.ts';
import type { IterableList } from './iterable/client.ts';
import { IterableError } from './iterable/errors.ts';
import { RunFailure } from './run-outcome.ts';

export interface EnsuredList {
  listId: string;
  /** FOUND: it was there before under our name, with whoever is on it. */
  origin: 'FOUND' | 'CREATED';
  /** Of a list that was found, as far as Iterable says: it may be the one that an earlier run asked for. */
  createdAt: Date | null;
}

export interface WantedList {
  name: string;
  /** Whether another export writes to this list. */
  isTaken: (listId: string) => Promise<boolean>;
}

/** The list that ensureList would find; undefined when it would make one. */
export async function findList(
  destination: Destination,
  wanted: WantedList,
): Promise<EnsuredList | undefined> {
  const found = await findByName(await readLists(destination), wanted);
  return found && toFound(found);
}

/** A list for an export that has none yet: by exact name among Standard lists, else a new one. */
export async function ensureList(destination: Destination, wanted: WantedList): Promise<EnsuredList> {
  return (await findList(destination, wanted)) ?? (await createList(destination, wanted));
}

function toFound({ id, createdAt }: IterableList): EnsuredList {
  return { listId: id, origin: 'FOUND', createdAt };
}

/** Never a second list: before the creation is asked for again, it is looked up whether the first one arrived. */
async function createList(destination: Destination, wanted: WantedList): Promise<EnsuredList> {
  let mayExist = false;
  try {
    return await destination.request('write', async (client, nextTurn) => {
      if (mayExist) {
        const late = await findByName(await client.listLists(), wanted);
        // It was not there before we asked for it, so it is the one that we asked for.
        if (late) return { ...toFound(late), origin: 'CREATED' };
        await nextTurn();
      }
      mayExist = true;
      return { listId: await client.createList(wanted.name), origin: 'CREATED', createdAt: null };
    });
  } catch (error) {
    if (!(error instanceof IterableError)) throw error;
    // Refused: somebody may have made a list of this name in the meantime.
    const lists = await readLists(destination);
    const late = await findByName(lists, wanted);
    if (late) return toFound(late);
    throw new RunFailure(
      'DESTINATION_UNAVAILABLE',
      `Iterable did not create the list: ${error.message} ${adviceOn(lists, wanted)}`,
      { retryable: false, cause: error },
    );
  }
}

/** A list that has the name and cannot be ours is the likely reason. */
function adviceOn(lists: IterableList[], { name }: WantedList): string {
  const inTheWay = lists.find((list) => list.name === name);
  if (!inTheWay) return `See to it in Iterable that a list called "${name}" can be made, then use runExport.`;
  return inTheWay.listType === 'Standard'
    ? `List ${inTheWay.id} has this name, and another export writes to it. Rename it in Iterable, then use runExport.`
    : `List ${inTheWay.id} has this name and is of type ${inTheWay.listType}, which cannot be written to. Rename or delete it in Iterable, then use runExport.`;
}

/** With a name, only a list that bears it counts: another Iterable project may have the id too. */
export async function isListThere(
  destination: Destination,
  wanted: { listId: string; name?: string },
): Promise<boolean> {
  const lists = await readLists(destination);
  return lists.some(
    (list) =>
      list.id === wanted.listId &&
      list.listType === 'Standard' &&
      (wanted.name === undefined || list.name === wanted.name),
  );
}

async function readLists(destination: Destination): Promise<IterableList[]> {
  try {
    return await destination.request('write', (client) => client.listLists());
  } catch (error) {
    throw unexpectedAnswer(error);
  }
}

/** Of several Standard lists with this name the oldest is ours: Iterable's ids ascend. */
async function findByName(lists: IterableList[], wanted: WantedList): Promise<IterableList | undefined> {
  const candidates = lists
    .filter((list) => list.name === wanted.name && list.listType === 'Standard')
    .sort((left, right) => Number(BigInt(left.id) - BigInt(right.id)));
  for (const candidate of candidates) {
    if (!(await wanted.isTaken(candidate.id))) return candidate;
  }
  return undefined;
}
