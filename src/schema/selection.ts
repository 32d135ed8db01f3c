import {
  type FieldNode,
  type GraphQLResolveInfo,
  getNamedType,
  isObjectType,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import type { Wanted } from '../../db/queries/card.ts';
import { type CardRows, wantColumns } from '../resolvers/card.ts';

/**
 * What the resolver of a field looks at, apart from the id of its row. A field that exposes a column needs none; one
 * that has neither is given whole rows.
 */
export type Reads = { [Noun in keyof CardRows]?: readonly (keyof CardRows[Noun])[] } & {
  /** Its value is a row that is read together with this one, or this row itself: what is asked of that counts too. */
  follow?: true;
};

/** For the extensions of a field. */
export function reads(what: Reads): { reads: Reads } {
  return { reads: what };
}

const NOUNS: Record<string, keyof CardRows> = {
  Cohort: 'cohort',
  Export: 'export',
  Integration: 'integration',
  SyncRun: 'run',
  SyncCounts: 'run',
};

type Fragments = GraphQLResolveInfo['fragments'];

/** A document is kept by whoever executes it, so what was found out about its fields is good for as long. */
const known = new WeakMap<FieldNode, { nodes: readonly FieldNode[]; wanted: Wanted }>();

/** What the operation asks of the rows of a connection. Directives do not count: too much is read, never too little. */
export function wantedOf({ fieldNodes, fragments, returnType }: GraphQLResolveInfo): Wanted {
  const [first] = fieldNodes;
  const before = known.get(first!);
  if (before && isSame(before.nodes, fieldNodes)) return before.wanted;
  const pages = fieldNodes.flatMap((node) => node.selectionSet ?? []);
  const nodes = pick(pick(pages, 'edges', fragments), 'node', fragments);
  const wanted: Wanted = {
    ...columnsBelow(rowTypeOf(returnType), nodes, fragments),
    total: fieldsOf(pages, fragments).some((field) => field.name.value === 'totalCount'),
  };
  known.set(first!, { nodes: [...fieldNodes], wanted });
  return wanted;
}

function isSame(left: readonly FieldNode[], right: readonly FieldNode[]): boolean {
  return left.length === right.length && left.every((node, index) => node === right[index]);
}

/** The type of a connection's rows. */
function rowTypeOf(connection: GraphQLResolveInfo['returnType']): unknown {
  return ['edges', 'node'].reduce((type: unknown, name) => {
    const named = getNamedType(type as GraphQLResolveInfo['returnType']);
    return isObjectType(named) ? named.getFields()[name]?.type : undefined;
  }, connection);
}

function fieldsOf(sets: readonly SelectionSetNode[], fragments: Fragments): FieldNode[] {
  return sets.flatMap(({ selections }) =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection];
      if (selection.kind === Kind.INLINE_FRAGMENT) return fieldsOf([selection.selectionSet], fragments);
      const fragment = fragments[selection.name.value];
      return fragment ? fieldsOf([fragment.selectionSet], fragments) : [];
    }),
  );
}

function pick(sets: readonly SelectionSetNode[], name: string, fragments: Fragments): SelectionSetNode[] {
  return fieldsOf(sets, fragments).flatMap((field) =>
    field.name.value === name ? (field.selectionSet ?? []) : [],
  );
}

function columnsBelow(type: unknown, sets: readonly SelectionSetNode[], fragments: Fragments): Wanted {
  const found = new Map<keyof CardRows, Set<string> | 'all'>();
  const of = (noun: keyof CardRows) => {
    const columns = found.get(noun) ?? new Set();
    found.set(noun, columns);
    return columns;
  };
  const add = (noun: keyof CardRows, columns: readonly string[]) => {
    const chosen = of(noun);
    if (chosen !== 'all') for (const column of columns) chosen.add(column);
  };
  look(type, sets);
  return wantColumns(found);

  function look(outer: unknown, below: readonly SelectionSetNode[]) {
    const row = getNamedType(outer as GraphQLResolveInfo['returnType']);
    const noun = isObjectType(row) ? NOUNS[row.name] : undefined;
    if (!isObjectType(row) || noun === undefined) return;
    of(noun);
    for (const node of fieldsOf(below, fragments)) {
      const field = row.getFields()[node.name.value];
      if (!field || field.name === 'id') continue;
      const { pothosExposedField: exposed, reads: read } = field.extensions as {
        pothosExposedField?: string;
        reads?: Reads;
      };
      if (exposed !== undefined) add(noun, [exposed]);
      else if (!read) found.set(noun, 'all');
      else {
        const { follow, ...columns } = read;
        for (const [one, names] of Object.entries(columns)) add(one as keyof CardRows, names);
        if (follow && node.selectionSet) look(field.type, [node.selectionSet]);
      }
    }
  }
}
