import { BadUserInputError } from '../errors.ts';

export const DEFAULT_PAGE_SIZE = 20;
export const MAX_PAGE_SIZE = 100;

export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
}

/** A page in the shape of the Relay cursor connection; totals and cursors are found out when they are asked for. */
export interface Connection<Row> {
  edges: { readonly cursor: string; node: Row }[];
  pageInfo: {
    hasNextPage: boolean;
    hasPreviousPage: boolean;
    readonly startCursor: string | null;
    readonly endCursor: string | null;
  };
  totalCount: () => Promise<number>;
}

interface List<Row, Key> {
  keyOf: (row: Row) => Key;
  /** The key that a cursor stands for, or undefined. */
  parseKey: (value: unknown) => Key | undefined;
  /** The array is the page's own from then on. */
  load: (page: { limit: number; after: Key | undefined }) => Promise<Row[]>;
  count: () => Promise<number>;
}

/**
 * One page by key. A cursor is the key of its row as JSON, opaque to callers. Throws BadUserInputError for a cursor
 * that is none of this list's.
 */
export async function pageOf<Row, Key>(args: PageArgs, list: List<Row, Key>): Promise<Connection<Row>> {
  const first = args.first ?? DEFAULT_PAGE_SIZE;
  const after = args.after == null ? undefined : readCursor(args.after, list.parseKey);
  // One more than asked for tells whether there is a next page.
  const rows = await list.load({ limit: first + 1, after });
  const hasNextPage = rows.length > first;
  if (hasNextPage) rows.pop();
  const edges = rows.map((row) => new Edge(row, list.keyOf));
  return { edges, pageInfo: new PageInfo(edges, hasNextPage), totalCount: list.count };
}

/** Getters, because few operations ask for the cursor of each row, and it is the dearest part of an edge. */
class Edge<Row> {
  readonly node: Row;
  readonly #keyOf: (row: Row) => unknown;
  #cursor: string | undefined;

  constructor(node: Row, keyOf: (row: Row) => unknown) {
    this.node = node;
    this.#keyOf = keyOf;
  }

  get cursor(): string {
    this.#cursor ??= writeCursor(this.#keyOf(this.node));
    return this.#cursor;
  }
}

class PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage = false;
  readonly #edges: readonly { readonly cursor: string }[];

  constructor(edges: readonly { readonly cursor: string }[], hasNextPage: boolean) {
    this.#edges = edges;
    this.hasNextPage = hasNextPage;
  }

  get startCursor(): string | null {
    return this.#edges[0]?.cursor ?? null;
  }

  get endCursor(): string | null {
    return this.#edges.at(-1)?.cursor ?? null;
  }
}

/** Keys of lists that are ordered by id alone. */
export const idKey = {
  keyOf: (row: { id: string }) => row.id,
  parseKey: (value: unknown) => (isRowId(value) ? value : undefined),
};

/** A database id as text: within int8, so that the database can compare it. */
export function isRowId(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,18}$/.test(value);
}

/** Exports are counted in 32 bits. */
export function isExportId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 2_147_483_647;
}

function writeCursor(key: unknown): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

function readCursor<Key>(cursor: string, parseKey: (value: unknown) => Key | undefined): Key {
  let key: Key | undefined;
  try {
    key = parseKey(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
  } catch {
    key = undefined;
  }
  if (key !== undefined) return key;
  throw new BadUserInputError([
    { path: ['after'], message: 'must be a cursor that an earlier page of this list gave.' },
  ]);
}
