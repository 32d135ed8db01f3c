import {
  defaultFieldResolver,
  type GraphQLField,
  GraphQLNonNull,
  type GraphQLOutputType,
  type GraphQLSchema,
  GraphQLString,
  isListType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { buildSchema } from './schema.ts';

/** Their fields are properties of what src/resolvers/page.ts makes; the relay plugin has a resolver for each. */
const PAGE_PARTS = /(?:Connection|Edge)$/;

/**
 * The schema as graphql-jit is to compile it: a field that only shows a property has no resolver, so that the compiler
 * reads the property in place. A call for each value of a page takes more time and memory than anything else in it.
 * Everything else is as in buildSchema, and each value is the same in JSON.
 */
export function buildCompilerSchema(): GraphQLSchema {
  const schema = buildSchema();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || type.name.startsWith('__')) continue;
    for (const field of Object.values(type.getFields())) {
      field.type = withTextForInstants(field.type);
      const property = propertyShownBy(type.name, field);
      if (property === undefined) continue;
      // graphql-jit takes what has no resolver from the property with the field's name.
      delete field.resolve;
      field.name = property;
    }
  }
  return schema;
}

/** Undefined when a resolver, or a plugin around it, has more to do. */
function propertyShownBy(typeName: string, field: GraphQLField<unknown, unknown>): string | undefined {
  const { resolve, extensions, name } = field;
  if (resolve === undefined || resolve === defaultFieldResolver) return name;
  // What a plugin has wrapped is not what it was.
  if (resolve !== extensions.pothosOriginalResolve) return undefined;
  if (typeof extensions.pothosExposedField === 'string') return extensions.pothosExposedField;
  return PAGE_PARTS.test(typeName) && ['edges', 'node', 'pageInfo'].includes(name) ? name : undefined;
}

/** A Date is the same text in JSON as a DateTime, and a String is not looked at again. */
function withTextForInstants(type: GraphQLOutputType): GraphQLOutputType {
  if (isNonNullType(type)) {
    const inner = withTextForInstants(type.ofType);
    return inner === type.ofType ? type : new GraphQLNonNull(inner as typeof GraphQLString);
  }
  if (isListType(type)) return type;
  return type.name === 'DateTime' ? GraphQLString : type;
}
