import {
  type DocumentNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLSchema,
  getOperationAST,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import type { Role } from '../../db/values.ts';

/** From the least to the most that a token may. */
const ROLES: readonly Role[] = ['CONSUMER', 'ANALYST', 'ADMIN', 'OWNER'];

/** Every root field that the operation of a valid document names, in fragments too, whether or not a directive leaves it out. */
export function rootFieldsOf(document: DocumentNode): FieldNode[] {
  const seen = new Set<string>();
  const collect = ({ selections }: SelectionSetNode): FieldNode[] =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.FIELD) return [selection];
      if (selection.kind === Kind.INLINE_FRAGMENT) return collect(selection.selectionSet);
      const name = selection.name.value;
      const fragment = document.definitions.find(
        (one) => one.kind === Kind.FRAGMENT_DEFINITION && one.name.value === name,
      );
      if (fragment?.kind !== Kind.FRAGMENT_DEFINITION || seen.has(name)) return [];
      seen.add(name);
      return collect(fragment.selectionSet);
    });
  const operation = getOperationAST(document);
  return operation ? collect(operation.selectionSet) : [];
}

/** The least role whose token may run all of a valid operation, as far as its root fields say. */
export function leastRoleOf(schema: GraphQLSchema, document: DocumentNode): Role {
  const operation = getOperationAST(document);
  const fields = (operation && schema.getRootType(operation.operation)?.getFields()) ?? {};
  const ranks = rootFieldsOf(document).map(({ name }) =>
    Math.max(0, ROLES.indexOf(roleOf(fields[name.value]))),
  );
  return ROLES[Math.max(0, ...ranks)]!;
}

/** As the field's authScopes declare it; Pothos keeps its options in the schema. */
function roleOf(field: GraphQLField<unknown, unknown> | undefined): Role {
  const options = field?.extensions.pothosOptions as { authScopes?: { role?: Role } } | undefined;
  return options?.authScopes?.role ?? 'CONSUMER';
}
