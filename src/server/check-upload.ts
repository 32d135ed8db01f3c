import {
  type DocumentNode,
  type GraphQLSchema,
  type GraphQLType,
  getNamedType,
  getNullableType,
  getOperationAST,
  isInputObjectType,
  isListType,
  typeFromAST,
  visit,
} from 'graphql';
import type { Viewer } from '../context.ts';
import { BadUserInputError } from '../errors.ts';
import { hasRole } from '../resolvers/api-token.ts';
import { leastRoleOf, rootFieldsOf } from '../schema/root-fields.ts';
import { RefusalError } from './refusal.ts';

/**
 * Throws unless a valid document runs one mutation that takes a file at this path (variables.input.file), and the viewer may
 * call it.
 */
export function checkUploadOperation(asked: {
  schema: GraphQLSchema;
  /** Of one operation. */
  document: DocumentNode;
  filePath: string;
  viewer: Viewer;
}): void {
  const { schema, document, filePath, viewer } = asked;
  const operation = getOperationAST(document)!;
  if (!hasRole(viewer, leastRoleOf(schema, document))) {
    throw new RefusalError(403, 'FORBIDDEN', `A token of role ${viewer.role} may not do this.`);
  }
  const fields = rootFieldsOf(document);
  if (operation.operation !== 'mutation' || fields.length !== 1) {
    throw refused('operations', 'must be a mutation of one field that takes the file.');
  }
  const [, variable, ...keys] = filePath.split('.');
  const declared = operation.variableDefinitions?.find((one) => one.variable.name.value === variable);
  const type = declared && typeFromAST(schema, declared.type);
  let isTaken = false;
  visit(fields[0]!, {
    SelectionSet: () => false,
    Variable: ({ name }) => {
      isTaken ||= name.value === variable;
    },
  });
  if (!isTaken || !leadsToFile(type, keys))
    throw refused('map', `names ${filePath}, where no file is taken.`);
}

function leadsToFile(type: GraphQLType | undefined, keys: string[]): boolean {
  if (!type) return false;
  const [key, ...rest] = keys;
  if (key === undefined) return !isListType(getNullableType(type)) && getNamedType(type).name === 'File';
  const here = getNullableType(type);
  if (isListType(here)) return /^\d+$/.test(key) && leadsToFile(here.ofType, rest);
  return isInputObjectType(here) && leadsToFile(here.getFields()[key]?.type, rest);
}

function refused(field: string, message: string): BadUserInputError {
  return new BadUserInputError([{ path: [field], message }]);
}
