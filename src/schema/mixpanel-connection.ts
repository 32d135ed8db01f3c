import {
  connectMixpanel,
  countQueries,
  disconnectMixpanel,
  readAttention,
  readMixpanel,
  readWebhook,
  refreshCohorts,
  replaceWebhook,
} from '../resolvers/mixpanel-connection.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { IdMerge, IntegrationStatus, MixpanelRegion } from './enums.ts';
import { Cohort, MixpanelConnection } from './refs.ts';
import { credentialRule } from './rules.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

builder.node(MixpanelConnection, {
  description: "The project's access to Mixpanel: one Mixpanel project, by a service account.",
  id: { resolve: (connection) => connection.id },
  fields: (t) => ({
    region: t.expose('region', { type: MixpanelRegion, description: 'Where the Mixpanel project lives.' }),
    projectId: t.exposeString('mixpanel_project_id', { description: "Mixpanel's numeric project id." }),
    idMerge: t.expose('id_merge', {
      type: IdMerge,
      description: "The Mixpanel project's identity management.",
    }),
    status: t.field({
      type: IntegrationStatus,
      description: 'Whether cohorts can be read and events imported.',
      resolve: (connection) => (readAttention(connection) === null ? 'CONNECTED' : 'NEEDS_ATTENTION'),
    }),
    attention: t.string({
      nullable: true,
      description: 'Why it needs attention (credentials, role, plan); null otherwise.',
      resolve: readAttention,
    }),
    connectedAt: t.expose('connected_at', { type: 'DateTime', description: 'When it was connected, last.' }),
    cohortsRefreshedAt: t.expose('cohorts_refreshed_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When the cohort list was last read.',
    }),
    queriesUsedLastHour: t.int({
      description: 'Counted Query API calls of the last hour, by this service.',
      resolve: (connection, _args, ctx) => countQueries(ctx, connection),
    }),
    queriesPerHour: t.int({
      description: 'How many may be made in an hour; 0: as many as wanted.',
      resolve: (_connection, _args, ctx) => ctx.sync.env.mixpanel.queriesPerHour,
    }),
    webhook: t.field({
      type: WebhookEndpoint,
      nullable: true,
      description:
        "Where Mixpanel's cohort webhook is to be pointed, with its Basic credentials (role ADMIN; null for others).",
      resolve: (connection, _args, ctx) => readWebhook(ctx, connection),
    }),
  }),
});

builder.queryField('mixpanel', (t) =>
  t.field({
    type: MixpanelConnection,
    nullable: true,
    authScopes: READ,
    description: 'The connection to Mixpanel; null when there is none.',
    resolve: (_root, _args, ctx) => readMixpanel(ctx),
  }),
);

const ConnectMixpanelInput = builder.inputType('ConnectMixpanelInput', {
  description: 'A Mixpanel project and a service account that may read it.',
  fields: (t) => ({
    region: t.field({ type: MixpanelRegion, required: true, description: 'Where the project lives.' }),
    projectId: t.string({
      required: true,
      description: "Mixpanel's numeric project id.",
      validate: { regex: [/^\d{1,18}$/, { message: "must be Mixpanel's numeric project id, digits only." }] },
    }),
    serviceAccountUsername: t.string({
      required: true,
      description: 'As Mixpanel shows it: name.ab12cd.mp-service-account.',
      validate: { schema: credentialRule },
    }),
    serviceAccountSecret: t.string({
      required: true,
      description: 'Stored encrypted; never shown.',
      validate: { schema: credentialRule },
    }),
    idMerge: t.field({
      type: IdMerge,
      required: true,
      defaultValue: 'SIMPLIFIED',
      description: "The project's identity management.",
    }),
  }),
});

builder.mutationFields((t) => ({
  connectMixpanel: t.field({
    type: MixpanelConnection,
    authScopes: CHANGE,
    description:
      'Checks the service account by reading the cohort list (one counted query), which is kept; then stores it encrypted. Another projectId than before stops the exports of the old cohorts. INVALID_CREDENTIALS, INSUFFICIENT_PERMISSIONS, PARTNER_UNAVAILABLE, RATE_LIMITED: nothing was stored.',
    args: { input: t.arg({ type: ConnectMixpanelInput, required: true, description: 'What to connect.' }) },
    resolve: (_root, { input }, ctx) => connectMixpanel(ctx, input),
  }),
  disconnectMixpanel: t.boolean({
    authScopes: CHANGE,
    description:
      'Forgets the service account; false when there was none. Cohorts and exports stay, but do not run until Mixpanel is connected again.',
    resolve: (_root, _args, ctx) => disconnectMixpanel(ctx),
  }),
  replaceMixpanelWebhook: t.field({
    type: WebhookEndpoint,
    authScopes: CHANGE,
    description:
      'Another address and other credentials for the cohort webhook. The ones before are refused from now on, which pauses what Mixpanel still sends there. MIXPANEL_NOT_CONNECTED.',
    resolve: (_root, _args, ctx) => replaceWebhook(ctx),
  }),
  refreshCohorts: t.field({
    type: [Cohort],
    authScopes: CHANGE,
    description:
      'Reads the cohort list from Mixpanel now (one counted query). MIXPANEL_NOT_CONNECTED; RATE_LIMITED with retryAfterSeconds; PARTNER_UNAVAILABLE.',
    resolve: (_root, _args, ctx) => refreshCohorts(ctx),
  }),
}));
