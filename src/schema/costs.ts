import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../resolvers/page.ts';

/**
 * What one operation may cost. A unit is what a plain field of a row takes, some microseconds of the service and a few
 * bytes of memory; what is below a list counts once for each row that it may have. The limit is what everything that can be
 * asked of 20 cohorts costs, every connection four rows deep, and half as much again.
 */
export const COST_LIMITS = { complexity: 40_000, depth: 15, breadth: 1_000 };

/** The schema describes itself in some 400 kB; one type in some 4. */
export const INTROSPECTION_COSTS: Record<string, number> = { __schema: 5_000, __type: 500 };

/** More than a field of a row, because the work is more. */
export const COSTS = {
  /** A statement of its own, whatever it finds: a list of the project, an object by its id. */
  statement: 25,
  /** A page or rows for each parent, read together with those of its siblings. */
  sharedStatement: 2,
  /** A mutation: several statements, and for some of them a request to a partner. */
  mutation: 250,
  /** A count over a whole list. As all that is below a list, it counts once for each row of the page. */
  total: 2,
  /** What a run did with people stands in blocks of some 100 kB: a page reads and parses one at least, for each run. */
  block: 30,
  /** A count over the ledger of each run: its batches, and the rejections of its export. */
  ledgerTotal: 4,
  /** The rejections of a run's export, counted together with those of its siblings. */
  rejections: 10,
  /** One person: a look-up in the index of all lists and ledgers, and every block that names them. */
  person: 500,
  /** The sums of a month, after what has come in has been filed. */
  month: 100,
  /** All people of a month, of whom there may be a million. */
  peopleOfMonth: 2_000,
} as const;

/** Exports on whose lists one person is, as far as anybody will have them. */
const LISTS_OF_A_PERSON = 15;

type Paged = { first?: number | null | undefined };

/** A page costs what makes it, and as much as its rows hold. */
function pageCost(field: number) {
  return ({ first }: Paged) => ({
    field,
    multiplier: Math.max(1, Math.min(MAX_PAGE_SIZE, first ?? DEFAULT_PAGE_SIZE)),
  });
}

/** A mutation for each of several items, each of which shows what it did. */
export const costOfItems = (items: number) => ({
  field: COSTS.mutation * items,
  multiplier: Math.max(1, items),
});

export const pageOfProject = pageCost(COSTS.statement);
export const pageOfParent = pageCost(COSTS.sharedStatement);
export const pageOfBlocks = pageCost(COSTS.block);
/** Of what has been read already. */
export const pageInMemory = pageCost(1);
export const listsOfPerson = { field: COSTS.sharedStatement, multiplier: LISTS_OF_A_PERSON };
