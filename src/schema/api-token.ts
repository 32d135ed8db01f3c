import type { ApiTokenRow } from '../../db/tables.ts';
import { createApiToken, listApiTokens, revokeApiToken } from '../resolvers/api-token.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { pageOfProject } from './costs.ts';
import { Role } from './enums.ts';
import { readId } from './global-id.ts';
import { pageArgs } from './page-args.ts';
import { ApiToken, ApiTokenConnection } from './refs.ts';
import { nameRule } from './rules.ts';

builder.node(ApiToken, {
  description: 'A secret that opens the API for one project, with one role. Only its SHA-256 is stored.',
  id: { resolve: (token) => token.id },
  fields: (t) => ({
    name: t.exposeString('name', { description: 'As its maker called it.' }),
    role: t.expose('role', { type: Role, description: 'What it may do.' }),
    createdAt: t.expose('created_at', { type: 'DateTime', description: 'When it was made.' }),
    lastUsedAt: t.expose('last_used_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute; null: never.',
    }),
    expiresAt: t.expose('expires_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ceases to work; null: never.',
    }),
    revokedAt: t.expose('revoked_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was revoked; null: it was not.',
    }),
  }),
});

builder.queryField('apiTokens', (t) =>
  t.field({
    type: ApiTokenConnection,
    nullable: true,
    authScopes: READ,
    complexity: pageOfProject,
    description: "The project's tokens, newest first, revoked ones among them.",
    args: pageArgs(t.arg),
    resolve: (_root, args, ctx) => listApiTokens(ctx, args),
  }),
);

const CreateApiTokenInput = builder.inputType('CreateApiTokenInput', {
  description: 'A token to be made.',
  fields: (t) => ({
    name: t.string({ required: true, description: '1 to 200 characters.', validate: { schema: nameRule } }),
    role: t.field({ type: Role, required: true, description: "At most the caller's own." }),
    expiresAt: t.field({ type: 'DateTime', description: 'In the future; unless given, never.' }),
  }),
});

const CreatedApiToken = builder
  .objectRef<{ apiToken: ApiTokenRow; secret: string }>('CreatedApiToken')
  .implement({
    description: 'A new token.',
    fields: (t) => ({
      apiToken: t.expose('apiToken', { type: ApiToken, description: 'The token.' }),
      secret: t.exposeString('secret', {
        description: 'To be sent as Authorization: Bearer <secret>; shown in this answer only.',
      }),
    }),
  });

builder.mutationFields((t) => ({
  createApiToken: t.field({
    type: CreatedApiToken,
    nullable: true,
    authScopes: CHANGE,
    description:
      "A token of at most the caller's own role (FORBIDDEN above it). The secret is shown in this answer only.",
    args: { input: t.arg({ type: CreateApiTokenInput, required: true, description: 'The token.' }) },
    resolve: (_root, { input }, ctx) => createApiToken(ctx, input),
  }),
  revokeApiToken: t.field({
    type: ApiToken,
    nullable: true,
    authScopes: CHANGE,
    description:
      "Ends a token at once, with the sockets and streams it has opened. FORBIDDEN above the caller's own role; INVALID_STATE for the project's last OWNER token.",
    args: {
      id: t.arg.id({
        required: true,
        description: 'The id of the token; NOT_FOUND when the project has none with it.',
      }),
    },
    resolve: (_root, { id }, ctx) => revokeApiToken(ctx, readId('ApiToken', 'API token', id)),
  }),
}));
