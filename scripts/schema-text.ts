import { printSchema } from 'graphql';
import { buildSchema } from '../src/schema/schema.ts';

/**
 * A plugin of graphql-codegen: the schema as graphql itself prints it. The usual plugin (schema-ast) does not know
 * where graphql 17 keeps the default values of inputs, and would leave them out.
 */
export const plugin = (): string => `${printSchema(buildSchema())}\n`;
