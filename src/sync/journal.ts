import type { Db } from '../../db/connect.ts';
import { insertListBlock } from '../../db/queries/list-block.ts';
import { insertBatch } from '../../db/queries/sync-batch.ts';
import type { BatchKind } from '../../db/values.ts';
import { changePlaces } from './change-places.ts';
import { type BlockPerson, encodePeople } from './people-block.ts';

/** Iterable takes bodies of up to 4,000,000 bytes; the rest is room for the names around the values. */
const MAX_BATCH_BYTES = 3_000_000;

type Role = BatchKind | 'HELD REMOVE' | 'HELD ADD' | 'LISTED';

/** Cuts people into batches and writes them, each with the next number of the run. */
export interface Journal {
  /** held: not to be sent before somebody has decided about the run's removals. */
  add(kind: BatchKind, person: BlockPerson, options?: { held: boolean }): Promise<void>;
  /** Somebody on the list who is known by something else now: there is nothing to be sent. */
  restate(person: BlockPerson): Promise<void>;
  /** Writes what is left. */
  end(): Promise<void>;
  /** Of the batch that is written next. */
  readonly nextNumber: number;
}

export interface JournalOptions {
  runId: string;
  exportId: number;
  batchSize: number;
  now: Date;
}

/** Within a transaction. */
export function createJournal(db: Db, options: JournalOptions, firstNumber: number): Journal {
  const open = new Map<Role, { people: BlockPerson[]; bytes: number }>();
  let number = firstNumber;

  async function cut(role: Role) {
    const people = open.get(role)?.people ?? [];
    if (people.length === 0) return;
    open.delete(role);
    const encoded = encodePeople(people);
    if (role === 'LISTED') {
      await changePlaces(
        db,
        people.map((person) => ({ place: person.place!, change: 'leave' })),
      );
      await insertListBlock(db, options.exportId, encoded, options.now);
      return;
    }
    const kind = role.endsWith('ADD') ? 'ADD' : 'REMOVE';
    const state = role.startsWith('HELD') ? 'HELD' : 'PLANNED';
    await insertBatch(db, options, { number: number++, kind, state, ...encoded });
  }

  async function put(role: Role, person: BlockPerson) {
    const bytes = 3 * ((person.email?.length ?? 0) + (person.userId?.length ?? 0)) + 32;
    if ((open.get(role)?.bytes ?? 0) + bytes > MAX_BATCH_BYTES) await cut(role);
    const batch = open.get(role) ?? { people: [], bytes: 0 };
    open.set(role, batch);
    batch.people.push(person);
    batch.bytes += bytes;
    if (batch.people.length >= options.batchSize) await cut(role);
  }

  return {
    add: (kind, person, { held } = { held: false }) => put(held ? `HELD ${kind}` : kind, person),
    restate: (person) => put('LISTED', person),
    async end() {
      for (const role of ['REMOVE', 'ADD', 'HELD REMOVE', 'HELD ADD', 'LISTED'] as const) await cut(role);
    },
    get nextNumber() {
      return number;
    },
  };
}
