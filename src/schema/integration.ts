import { readExportsOf } from '../resolvers/export.ts';
import {
  connectIntegration,
  disconnectIntegration,
  readIntegration,
  readIntegrations,
  readWebhook,
  replaceWebhook,
} from '../resolvers/integration.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { COSTS, pageOfParent } from './costs.ts';
import { DataCenter, IntegrationStatus, IterableProjectType, Provider, UserIdFallback } from './enums.ts';
import { pageArgs } from './page-args.ts';
import { ExportConnection, Integration } from './refs.ts';
import { credentialRule } from './rules.ts';
import { reads, wantedOf } from './selection.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

const RemovalGuard = builder.objectRef<{ maxShare: number; minRemovals: number }>('RemovalGuard').implement({
  description: 'How many people a run may remove from a list without somebody looking at it.',
  fields: (t) => ({
    maxShare: t.exposeFloat('maxShare', { description: 'Share of the list, 0 to 1.' }),
    minRemovals: t.exposeInt('minRemovals', { description: 'Fewer people than this are never held.' }),
  }),
});

builder.node(Integration, {
  description:
    'A provider that cohorts are exported to, connected or not. There is one of each provider in a project.',
  id: { resolve: (integration) => integration.id },
  fields: (t) => ({
    provider: t.expose('provider', { type: Provider, description: 'Which.' }),
    status: t.expose('status', { type: IntegrationStatus, description: 'Whether it can be written to.' }),
    attention: t.exposeString('attention', {
      nullable: true,
      description: 'Why it needs attention; null otherwise.',
    }),
    dataCenter: t.expose('data_center', {
      type: DataCenter,
      nullable: true,
      description: 'Where the key works.',
    }),
    projectType: t.expose('project_type', {
      type: IterableProjectType,
      nullable: true,
      description: 'How the Iterable project keys its users.',
    }),
    userIdFallback: t.expose('user_id_fallback', {
      type: UserIdFallback,
      nullable: true,
      description: 'What stands in for a missing $iterable_user_id.',
    }),
    removalGuard: t.field({
      type: RemovalGuard,
      nullable: true,
      description: 'When a run waits for approval before it removes people. Kept with the connection.',
      extensions: reads({ integration: ['guard_max_share', 'guard_min_removals'] }),
      resolve: ({ guard_max_share: maxShare, guard_min_removals: minRemovals }) =>
        maxShare === null || minRemovals === null ? null : { maxShare, minRemovals },
    }),
    apiKeyHint: t.exposeString('api_key_hint', {
      nullable: true,
      description: 'The last four characters of the key; the key itself never leaves the service.',
    }),
    connectedAt: t.expose('connected_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was connected, last.',
    }),
    connectedBy: t.exposeString('connected_by', {
      nullable: true,
      description: 'The name of the token that connected it.',
    }),
    webhook: t.field({
      complexity: COSTS.statement,
      type: WebhookEndpoint,
      nullable: true,
      description:
        "Where Iterable's system webhook is to be pointed, with its credentials (role ADMIN; null for others, and before the first connection).",
      extensions: reads({ integration: ['provider', 'connected_at'] }),
      resolve: (integration, _args, ctx) => readWebhook(ctx, integration),
    }),
    exports: t.field({
      type: ExportConnection,
      complexity: pageOfParent,
      description: 'The cohorts that are exported to it, newest first.',
      args: pageArgs(t.arg),
      extensions: reads({}),
      resolve: (integration, args, ctx, info) => readExportsOf(ctx, integration, args, wantedOf(info)),
    }),
  }),
});

builder.queryFields((t) => ({
  integrations: t.field({
    type: [Integration],
    nullable: true,
    authScopes: READ,
    description: 'Every provider the service knows, connected or not.',
    resolve: (_root, _args, ctx) => readIntegrations(ctx),
  }),
  integration: t.field({
    type: Integration,
    nullable: true,
    authScopes: READ,
    description: 'One provider, connected or not.',
    args: { provider: t.arg({ type: Provider, required: true, description: 'Which.' }) },
    resolve: (_root, { provider }, ctx) => readIntegration(ctx, provider),
  }),
}));

const RemovalGuardInput = builder.inputType('RemovalGuardInput', {
  description:
    'A run that would remove more than maxShare of the list, and at least minRemovals people, waits for approval.',
  fields: (t) => ({
    maxShare: t.float({
      required: true,
      defaultValue: 0.5,
      description: 'Share of the list, 0 to 1.',
      validate: {
        min: [0, { message: 'must be from 0 to 1.' }],
        max: [1, { message: 'must be from 0 to 1.' }],
      },
    }),
    minRemovals: t.int({
      required: true,
      defaultValue: 100,
      description: 'People, 0 or more.',
      validate: { min: [0, { message: 'must be 0 or more.' }] },
    }),
  }),
});

const ConnectIntegrationInput = builder.inputType('ConnectIntegrationInput', {
  description: 'A project at the provider and a key that may write to its lists.',
  fields: (t) => ({
    provider: t.field({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Which.' }),
    apiKey: t.string({
      required: true,
      description: 'A server-side key (not read-only). Stored encrypted; never shown.',
      validate: { schema: credentialRule },
    }),
    dataCenter: t.field({
      type: DataCenter,
      required: true,
      defaultValue: 'US',
      description: 'Where the key was made; it works there only.',
    }),
    projectType: t.field({
      type: IterableProjectType,
      required: true,
      description: 'How the project keys its users. EMAIL does not exist in the EU (BAD_USER_INPUT).',
    }),
    userIdFallback: t.field({
      type: UserIdFallback,
      required: true,
      defaultValue: 'NONE',
      description: 'What stands in for a missing $iterable_user_id.',
    }),
    removalGuard: t.field({ type: RemovalGuardInput, description: 'Unless given: 0.5 and 100.' }),
  }),
});

const DisconnectIntegrationInput = builder.inputType('DisconnectIntegrationInput', {
  description: 'What to disconnect.',
  fields: (t) => ({
    provider: t.field({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Which.' }),
  }),
});

builder.mutationFields((t) => ({
  connectIntegration: t.field({
    type: Integration,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Checks the key against Iterable before it stores anything. Connecting again replaces key and settings. INVALID_CREDENTIALS; INSUFFICIENT_PERMISSIONS for a read-only key; PARTNER_UNAVAILABLE.',
    args: {
      input: t.arg({ type: ConnectIntegrationInput, required: true, description: 'What to connect.' }),
    },
    resolve: (_root, { input }, ctx) =>
      connectIntegration(ctx, {
        ...input,
        removalGuard: input.removalGuard ?? { maxShare: 0.5, minRemovals: 100 },
      }),
  }),
  disconnectIntegration: t.field({
    type: Integration,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Stops every export of the integration and forgets the key. Lists in Iterable stay as they are. A run that is going ends FAILED with INTEGRATION_DISCONNECTED between two batches.',
    args: { input: t.arg({ type: DisconnectIntegrationInput, required: true, description: 'Which.' }) },
    resolve: (_root, { input }, ctx) => disconnectIntegration(ctx, input.provider),
  }),
  replaceIntegrationWebhook: t.field({
    type: Integration,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Another address and other credentials for the webhook. The ones before are refused from now on. INTEGRATION_NOT_CONNECTED.',
    args: {
      provider: t.arg({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Whose.' }),
    },
    resolve: (_root, { provider }, ctx) => replaceWebhook(ctx, provider),
  }),
}));
