import type { GraphQLObjectType, GraphQLSchema } from 'graphql';
import './scalars.ts';
import './enums.ts';
import './project.ts';
import './api-token.ts';
import './mixpanel-account.ts';
import './integration.ts';
import './cohort.ts';
import './export.ts';
import './bulk.ts';
import './sync-preview.ts';
import './sync-run.ts';
import './member.ts';
import './messaging-usage.ts';
import './subscriptions.ts';
import { builder } from './builder.ts';
import { encodeId } from './global-id.ts';

/** The public API. Built without opening anything. */
export function buildSchema(): GraphQLSchema {
  const schema = builder.toSchema({ sortSchema: true });
  encodeIdsAtOnce(schema);
  return schema;
}

/** Rows of the database: their global id is made of the column id. */
const ROW_TYPES = ['ApiToken', 'Cohort', 'Export', 'Integration', 'MixpanelAccount', 'Project', 'SyncRun'];

/** The relay plugin makes two promises for each id, and a page has more ids than anything else. */
function encodeIdsAtOnce(schema: GraphQLSchema): void {
  for (const name of ROW_TYPES) {
    const type = schema.getType(name) as GraphQLObjectType<{ id: string | number }>;
    type.getFields().id!.resolve = ({ id }) => encodeId(name, id);
  }
}
