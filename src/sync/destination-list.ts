import type { Destination } from './destination.ts';
import type { IterableList } from './iterable/client.ts';
import { IterableError } from './iterable/errors.ts';
import { RunFailure } from './run-outcome.ts';

export interface EnsuredList {
  listId: string;
  /** FOUND: it was there before under our name, with whoever is on it. */
  origin: 'FOUND' | 'CREATED';
}

/** A list for an export that has none yet: by exact name among Standard lists, else a new one. */
export async function ensureList(
  destination: Destination,
  wanted: { name: string; isTaken: (listId: string) => Promise<boolean> },
): Promise<EnsuredList> {
  const lists = await readLists(destination);
  const found = await findByName(lists, wanted);
  if (found) return { listId: found, origin: 'FOUND' };
  try {
    const listId = await destination.request('write', (client) => client.createList(wanted.name));
    return { listId, origin: 'CREATED' };
  } catch (error) {
    if (!(error instanceof IterableError)) throw error;
    // Somebody may have made it in the meantime, or our own request arrived and its answer did not.
    const late = await findByName(await readLists(destination), wanted);
    if (late) return { listId: late, origin: 'FOUND' };
    throw new RunFailure('DESTINATION_UNAVAILABLE', `Iterable did not create the list: ${error.message}`, {
      retryable: false,
      cause: error,
    });
  }
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

function readLists(destination: Destination): Promise<IterableList[]> {
  return destination.request('write', (client) => client.listLists());
}

/** Of several Standard lists with this name the oldest is ours: Iterable's ids ascend. */
async function findByName(
  lists: IterableList[],
  wanted: { name: string; isTaken: (listId: string) => Promise<boolean> },
): Promise<string | undefined> {
  const candidates = lists
    .filter((list) => list.name === wanted.name && list.listType === 'Standard')
    .sort((left, right) => Number(BigInt(left.id) - BigInt(right.id)));
  for (const candidate of candidates) {
    if (!(await wanted.isTaken(candidate.id))) return candidate.id;
  }
  return undefined;
}
