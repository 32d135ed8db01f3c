import SchemaBuilder from '@pothos/core';
import ComplexityPlugin from '@pothos/plugin-complexity';
import RelayPlugin from '@pothos/plugin-relay';
import ScopeAuthPlugin from '@pothos/plugin-scope-auth';
import ZodPlugin from '@pothos/plugin-zod';
import type { ZodError } from 'zod';
import type { Role } from '../../db/values.ts';
import type { Context } from '../context.ts';
import { BadUserInputError, CohortSyncError } from '../errors.ts';
import { hasRole } from '../resolvers/api-token.ts';
import { COSTS } from './costs.ts';
import { decodeId, encodeId, loadNode } from './global-id.ts';
import './root-plugin.ts';

/** Something that a caller uploaded, kept on disk while the operation goes on. */
export interface Upload {
  name: string;
  stream(): ReadableStream<Uint8Array>;
}

/** Plugins are asked in this order: roles first, then the input. */
export const builder = new SchemaBuilder<{
  Context: Context;
  DefaultFieldNullability: false;
  DefaultEdgesNullability: { list: false; items: false };
  DefaultNodeNullability: false;
  Connection: { totalCount: () => Promise<number> };
  Scalars: {
    ID: { Input: string; Output: string | number };
    DateTime: { Input: Date; Output: Date };
    File: { Input: Upload; Output: never };
  };
  /** role: the least that the caller's token must have. */
  AuthScopes: { role: Role };
}>({
  plugins: [ScopeAuthPlugin, ComplexityPlugin, ZodPlugin, RelayPlugin, 'root'],
  defaultFieldNullability: false,
  scopeAuth: {
    authScopes: ({ viewer }) => ({ role: (role) => hasRole(viewer, role) }),
    authorizeOnSubscribe: true,
    unauthorizedError: (_parent, ctx) =>
      new CohortSyncError('FORBIDDEN', `A token of role ${ctx.viewer.role} may not do this.`),
  },
  zod: { validationError: toInputError },
  // Weighed before an operation is executed: src/server/operation-cost.ts.
  complexity: { disabled: true, defaultListMultiplier: 1 },
  relay: {
    cursorType: 'String',
    encodeGlobalID: (typename, id) => encodeId(typename, id),
    decodeGlobalID: (id) => decodeId(id),
    nodeTypeOptions: { description: 'Anything that has a global id.' },
    nodeQueryOptions: {
      description: 'Any object by its global id; null when the project has none with this id.',
      authScopes: { role: 'CONSUMER' },
      // It may be a person's.
      complexity: { field: COSTS.person, multiplier: 1 },
      args: { id: { description: 'The id field of an object.' } },
      resolve: (_root, { id }, ctx) => loadNode(ctx, id),
    },
    nodesQueryOptions: false,
    nodesOnConnection: false,
    idFieldOptions: {
      description: 'Global and opaque; good for node(id) and wherever an id of this type is asked for.',
    },
    pageInfoTypeOptions: { description: 'Where a page stands in its list (Relay cursor connections).' },
    pageInfoFieldOptions: { description: 'Where the page stands in its list.' },
    hasNextPageFieldOptions: { description: 'Whether there are rows after this page.' },
    hasPreviousPageFieldOptions: { description: 'Always false: lists are paged forwards.' },
    startCursorFieldOptions: { description: 'The cursor of the first row of the page.' },
    endCursorFieldOptions: {
      description: 'The cursor of the last row of the page; after: it gives the next page.',
    },
    edgesFieldOptions: { description: 'The rows of the page.', nullable: { list: false, items: false } },
    nodeFieldOptions: { description: 'The row.', nullable: false },
    cursorFieldOptions: { description: 'Opaque; after: it gives what comes after this row.' },
  },
});

builder.queryType({
  description:
    'What can be read. Any token of the project may. Null without an error: there is no such object. Null with one: this field failed, those beside it did not.',
});
builder.mutationType({
  description:
    'What can be changed. Tokens of role ADMIN and OWNER may. One that fails is null with an error; those beside it go on. BAD_USER_INPUT for input that will not do, NOT_FOUND for an id that the project does not have.',
});
builder.subscriptionType({
  description:
    'What can be watched, over WebSocket (graphql-transport-ws) or server-sent events. Each value is a whole snapshot; the first comes at once. NOT_FOUND for an id that the project does not have.',
});

/** Everybody with a token reads; who administers the project changes. */
export const READ = { role: 'CONSUMER' } as const;
export const CHANGE = { role: 'ADMIN' } as const;
export const OWN = { role: 'OWNER' } as const;

function toInputError(error: ZodError): Error {
  return new BadUserInputError(
    error.issues.map((issue) => ({
      path: issue.path.filter((part) => typeof part !== 'symbol'),
      message: issue.message,
    })),
  );
}
