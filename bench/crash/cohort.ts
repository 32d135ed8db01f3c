import type { Refusal } from '../../sandbox/iterable/project.ts';
import type { Member, MemberList } from '../../sandbox/mixpanel/project.ts';

/** In each generation another tenth of all people is not in the cohort, in blocks of so many, so that namesakes go together. */
const BLOCK = 10;
/** Everybody's kind repeats after so many. */
const CYCLE = 500;

type Fate = 'LISTED' | 'MISSING_EMAIL' | 'INVALID_EMAIL' | 'DUPLICATE_IDENTITY' | RefusedBy;
type RefusedBy = 'ITERABLE_CONFLICT' | 'ITERABLE_FORGOTTEN';

/** Who of a cycle is not simply on the list, by their place in it: each in another block. */
const FATES: Readonly<Record<number, Fate>> = {
  1: 'MISSING_EMAIL',
  12: 'INVALID_EMAIL',
  // Of the one before, who is in the same block.
  124: 'DUPLICATE_IDENTITY',
  236: 'DUPLICATE_IDENTITY',
  341: 'ITERABLE_CONFLICT',
  452: 'ITERABLE_FORGOTTEN',
};

/** What a run must come to. */
export interface Expected {
  counts: { members: number; added: number; unchanged: number; removed: number; rejected: number };
  /** E-mail addresses on the list, and the userId of each, if they have one. */
  list: Map<string, string | undefined>;
  /** Lines of the ledger, as describeLine makes them. */
  ledger: Set<string>;
}

/**
 * People whose fate is known from how they are made: nothing of the service is needed to tell it. size: of the cohort at
 * any time, at least.
 */
export function createCohort(size: number) {
  const cycles = Math.ceil(size / (CYCLE - CYCLE / BLOCK));
  const everybody = Array.from({ length: cycles * CYCLE }, (_, index) => index);
  const present = (generation: number) =>
    everybody.filter((index) => Math.floor(index / BLOCK) % BLOCK !== generation % BLOCK);
  return {
    members(generation: number): MemberList {
      const indices = present(generation);
      return {
        count: indices.length,
        member: (place) => describeMember(indices[place]!, generation),
      };
    },
    /** Whom Iterable is to refuse whenever they are sent. */
    refusals: everybody
      .filter((index) => fateOf(index) === 'ITERABLE_CONFLICT')
      .map((index): Refusal => ({ identifier: addressOf(index), bucket: 'conflict' })),
    forgotten: everybody.filter((index) => fateOf(index) === 'ITERABLE_FORGOTTEN').map(addressOf),
    /** before: the list as the run before has left it. */
    expect(generation: number, before: Expected['list']): Expected {
      const indices = present(generation);
      const counts = { members: indices.length, added: 0, unchanged: 0, removed: 0, rejected: 0 };
      const list: Expected['list'] = new Map();
      const ledger = new Set<string>();
      for (const index of indices) {
        const fate = fateOf(index);
        const address = addressOf(index);
        if (fate !== 'LISTED') {
          counts.rejected++;
          ledger.add(describeLine({ outcome: 'REJECTED', reason: fate, distinctId: distinctIdOf(index) }));
          continue;
        }
        list.set(address, userIdOf(index, generation));
        if (before.has(address)) counts.unchanged++;
        else {
          counts.added++;
          ledger.add(describeLine({ outcome: 'ADDED', reason: null, distinctId: distinctIdOf(index) }));
        }
      }
      for (const address of before.keys()) {
        if (list.has(address)) continue;
        counts.removed++;
        const distinctId = address.slice(0, address.indexOf('@'));
        ledger.add(describeLine({ outcome: 'REMOVED', reason: null, distinctId }));
      }
      return { counts, list, ledger };
    },
  };
}

export type Cohort = ReturnType<typeof createCohort>;

export function describeLine(line: {
  outcome: string;
  reason: string | null;
  distinctId: string | null;
}): string {
  return `${line.outcome} ${line.reason ?? ''} ${line.distinctId}`;
}

function fateOf(index: number): Fate {
  return FATES[index % CYCLE] ?? 'LISTED';
}

/** In the order of the numbers, so that of two with one address it is known who counts. */
function distinctIdOf(index: number): string {
  return `person-${String(index).padStart(9, '0')}`;
}

function addressOf(index: number): string {
  const owner = fateOf(index) === 'DUPLICATE_IDENTITY' ? index - 1 : index;
  return `${distinctIdOf(owner)}@example.com`;
}

/** Some have one, and some of theirs change with every generation: sent again, and counted as unchanged. */
function userIdOf(index: number, generation: number): string | undefined {
  if (index % 9 !== 0) return undefined;
  return index % 81 === 0 ? `user-${index}-${generation}` : `user-${index}`;
}

function describeMember(index: number, generation: number): Member {
  const fate = fateOf(index);
  if (fate === 'MISSING_EMAIL') return { distinctId: distinctIdOf(index) };
  const userId = fate === 'LISTED' ? userIdOf(index, generation) : undefined;
  return {
    distinctId: distinctIdOf(index),
    properties: {
      $email: fate === 'INVALID_EMAIL' ? 'malformed' : addressOf(index),
      ...(userId === undefined ? {} : { $iterable_user_id: userId }),
    },
  };
}
