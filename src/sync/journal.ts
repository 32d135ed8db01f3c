import type { Db } from '../../db/connect.ts';
import { insertListBlock } from '../../db/queries/list-block.ts';
import { insertBatch } from '../../db/queries/sync-batch.ts';
import type { BatchKind } from '../../db/values.ts';
import { changePlaces } from './change-places.ts';
import {
  type BlockBuilder,
  type BlockPerson,
  createBlockBuilder,
  decodePlace,
  type EncodedPeople,
  type RecordedPerson,
} from './people-block.ts';

/** Iterable takes bodies of up to 4,000,000 bytes; the rest is room for one more person and the names around the values. */
const MAX_BATCH_BYTES = 3_000_000;

type Role = BatchKind | 'HELD REMOVE' | 'HELD ADD' | 'LISTED';
type People = Iterable<BlockPerson | RecordedPerson>;

/** Cuts people into batches and writes them, each with the next number of the run. */
export interface Journal {
  /** held: not to be sent before somebody has decided about the run's removals. */
  add(kind: BatchKind, people: People, options?: { held: boolean }): Promise<void>;
  /** People on the list who are known by something else now: there is nothing to be sent. */
  restate(people: People): Promise<void>;
  /** Writes what is left. */
  end(): Promise<void>;
  /** Why a batch could not be written, if so. Resolves when none is being written: the transaction must not end before. */
  failure(): Promise<unknown>;
  /** Of the batch that is written next. */
  readonly nextNumber: number;
}

export interface JournalOptions {
  runId: string;
  exportId: number;
  batchSize: number;
  now: Date;
}

/** Within a transaction. A batch is written while the next one is made. */
export function createJournal(db: Db, options: JournalOptions, firstNumber: number): Journal {
  const open = new Map<Role, BlockBuilder>();
  const spare: BlockBuilder[] = [];
  let number = firstNumber;
  let writing: Promise<unknown> = Promise.resolve();

  async function cut(role: Role) {
    const block = open.get(role);
    if (!block) return;
    open.delete(role);
    await writing;
    writing = write(role, block.build()).then(() => {
      block.clear();
      spare.push(block);
    });
    // Places are read and then written: nothing else may change any meanwhile. The others have nobody's place to change.
    if (role === 'LISTED') await writing;
    // Whoever waits for it is told.
    else writing.catch(() => undefined);
  }

  async function write(role: Role, people: EncodedPeople) {
    if (role === 'LISTED') {
      const changes = Array.from({ length: people.size }, (_, index) => ({
        place: decodePlace(people.places, index)!,
        change: 'leave' as const,
      }));
      await changePlaces(db, changes);
      await insertListBlock(db, options.exportId, people, options.now);
      return;
    }
    const kind = role.endsWith('ADD') ? 'ADD' : 'REMOVE';
    const state = role.startsWith('HELD') ? 'HELD' : 'PLANNED';
    await insertBatch(db, options, { number: number++, kind, state, ...people });
  }

  async function put(role: Role, people: People) {
    let block = open.get(role);
    for (const person of people) {
      if (!block) {
        block = spare.pop() ?? createBlockBuilder(options.batchSize);
        open.set(role, block);
      }
      block.add(person);
      if (block.size < options.batchSize && block.bytes < MAX_BATCH_BYTES) continue;
      await cut(role);
      block = undefined;
    }
  }

  return {
    add: (kind, people, { held } = { held: false }) => put(held ? `HELD ${kind}` : kind, people),
    restate: (people) => put('LISTED', people),
    async end() {
      for (const role of ['REMOVE', 'ADD', 'HELD REMOVE', 'HELD ADD', 'LISTED'] as const) await cut(role);
      await writing;
    },
    failure: () =>
      writing.then(
        () => undefined,
        (error) => error,
      ),
    get nextNumber() {
      return number;
    },
  };
}
