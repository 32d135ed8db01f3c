import { buildSchema } from '../src/schema/schema.ts';

/** What graphql-codegen prints; built without a database. */
export default buildSchema();
