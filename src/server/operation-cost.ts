import { complexityFromQuery } from '@pothos/plugin-complexity';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type SelectionSetNode,
} from 'graphql';
import { CohortSyncError } from '../errors.ts';
import { COST_LIMITS, INTROSPECTION_COSTS } from '../schema/costs.ts';
import type { Variables } from './operations.ts';

export interface Cost {
  /** Throws CohortSyncError QUERY_TOO_COMPLEX. */
  of(variables: Variables): number;
}

/** How many different sets of numbers an operation remembers the cost of. */
const MAX_REMEMBERED = 100;

/**
 * The cost of an operation by the weights in the schema. It depends on arguments that are numbers, booleans or enums (first),
 * so it is computed once for each set of them.
 */
export function createCost(
  schema: GraphQLSchema,
  document: DocumentNode,
  definition: OperationDefinitionNode,
): Cost {
  const introspection = introspectionCostOf(document, definition);
  const names = (definition.variableDefinitions ?? []).map(({ variable }) => variable.name.value);
  const remembered = new Map<string, number>();

  function compute(variables: Variables): number {
    let measured: ReturnType<typeof complexityFromQuery>;
    try {
      measured = complexityFromQuery(document, { schema, variables, ctx: {} });
    } catch (error) {
      // Variables that do not fit: the execution says which, before any resolver is called.
      if (!(error instanceof RangeError)) return 1;
      throw new CohortSyncError('QUERY_TOO_COMPLEX', 'The operation is nested too deeply.');
    }
    const figures = { ...measured, complexity: measured.complexity + introspection };
    for (const kind of ['depth', 'breadth', 'complexity'] as const) {
      if (figures[kind] <= COST_LIMITS[kind]) continue;
      throw new CohortSyncError(
        'QUERY_TOO_COMPLEX',
        `The operation is too large: its ${kind} is ${figures[kind]}, and at most ${COST_LIMITS[kind]} is allowed. Ask for fewer rows or fields.`,
      );
    }
    return figures.complexity;
  }

  return {
    of(variables) {
      const key = JSON.stringify(names.map((name) => weightOf(variables[name])));
      let cost = remembered.get(key);
      if (cost === undefined) {
        cost = compute(variables);
        if (remembered.size < MAX_REMEMBERED) remembered.set(key, cost);
      }
      return cost;
    },
  };
}

/** A text does not change a cost, whatever it says; an enum value may, and is short. */
function weightOf(value: unknown): unknown {
  return typeof value === 'string' && value.length > 20 ? '' : value;
}

/** The weights of the schema do not reach its description: __schema and __type are counted by themselves. */
function introspectionCostOf(document: DocumentNode, { selectionSet }: OperationDefinitionNode): number {
  const fragments = new Map(
    document.definitions
      .filter((one): one is FragmentDefinitionNode => one.kind === Kind.FRAGMENT_DEFINITION)
      .map((one) => [one.name.value, one]),
  );
  const counted = new Map<SelectionSetNode, number>();

  /** Fragments may name each other many times over: each is counted once. */
  function count(set: SelectionSetNode): number {
    const known = counted.get(set);
    if (known !== undefined) return known;
    let sum = 0;
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) sum += INTROSPECTION_COSTS[selection.name.value] ?? 0;
      else if (selection.kind === Kind.INLINE_FRAGMENT) sum += count(selection.selectionSet);
      else sum += count(fragments.get(selection.name.value)!.selectionSet);
    }
    counted.set(set, sum);
    return sum;
  }
  return count(selectionSet);
}
