import {
  connectMixpanel,
  countQueries,
  disconnectMixpanel,
  MAX_REFRESHED_COHORTS,
  readAttention,
  readMixpanel,
  readStatus,
  readWebhook,
  refreshCohorts,
  replaceWebhook,
} from '../resolvers/mixpanel-account.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { COSTS } from './costs.ts';
import { IdMerge, IntegrationStatus, MixpanelRegion } from './enums.ts';
import { Cohort, MixpanelAccount } from './refs.ts';
import { credentialRule } from './rules.ts';
import { WebhookEndpoint } from './webhook-endpoint.ts';

builder.node(MixpanelAccount, {
  description: "The project's access to Mixpanel: one Mixpanel project, by a service account.",
  id: { resolve: (account) => account.id },
  fields: (t) => ({
    region: t.expose('region', { type: MixpanelRegion, description: 'Where the Mixpanel project lives.' }),
    projectId: t.exposeString('mixpanel_project_id', { description: "Mixpanel's numeric project id." }),
    workspaceId: t.exposeString('workspace_id', {
      nullable: true,
      description: 'The Data View that is read; null for projects without.',
    }),
    idMerge: t.expose('id_merge', {
      type: IdMerge,
      description: "The Mixpanel project's identity management.",
    }),
    status: t.field({
      type: IntegrationStatus,
      description:
        'Whether cohorts can be read and events imported. DISCONNECTED only in the answer of disconnectMixpanel.',
      resolve: readStatus,
    }),
    attention: t.string({
      nullable: true,
      description: 'Why it needs attention (credentials, role, plan); null otherwise.',
      resolve: readAttention,
    }),
    warning: t.exposeString('list_note', {
      nullable: true,
      description: 'What of the cohort list could not be read; null when all of it was.',
    }),
    connectedAt: t.expose('connected_at', { type: 'DateTime', description: 'When it was connected, last.' }),
    cohortsRefreshedAt: t.expose('cohorts_refreshed_at', {
      type: 'DateTime',
      nullable: true,
      description: 'When the cohort list was last read.',
    }),
    queriesUsedLastHour: t.int({
      complexity: COSTS.statement,
      description: 'Counted Query API calls of the last hour, by this service.',
      resolve: (account, _args, ctx) => countQueries(ctx, account),
    }),
    queriesPerHour: t.int({
      description: 'How many may be made in an hour; 0: as many as wanted.',
      resolve: (_account, _args, ctx) => ctx.sync.env.mixpanel.queriesPerHour,
    }),
    webhook: t.field({
      complexity: COSTS.statement,
      type: WebhookEndpoint,
      nullable: true,
      description:
        "Where Mixpanel's cohort webhook is to be pointed, with its Basic credentials (role ADMIN; null for others).",
      resolve: (account, _args, ctx) => readWebhook(ctx, account),
    }),
  }),
});

builder.queryField('mixpanel', (t) =>
  t.field({
    type: MixpanelAccount,
    nullable: true,
    authScopes: READ,
    description: 'The access to Mixpanel; null when it is not connected.',
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
    workspaceId: t.string({
      description:
        'Only for projects with Data Views: the id of the view to read, digits only. Sent with every query.',
      validate: {
        regex: [/^\d{1,18}$/, { message: "must be Mixpanel's numeric workspace id, digits only." }],
      },
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
    type: MixpanelAccount,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Checks the service account by reading the cohort list (one counted query), which is kept; then stores it encrypted. Another projectId than before stops the exports of the old cohorts. INVALID_CREDENTIALS, INSUFFICIENT_PERMISSIONS, PARTNER_UNAVAILABLE, RATE_LIMITED: nothing was stored.',
    args: { input: t.arg({ type: ConnectMixpanelInput, required: true, description: 'What to connect.' }) },
    resolve: (_root, { input }, ctx) => connectMixpanel(ctx, input),
  }),
  disconnectMixpanel: t.field({
    type: MixpanelAccount,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Forgets the service account, and returns what it was, DISCONNECTED now; null when Mixpanel was not connected. Cohorts and exports stay, but do not run until it is connected again.',
    resolve: (_root, _args, ctx) => disconnectMixpanel(ctx),
  }),
  replaceMixpanelWebhook: t.field({
    type: MixpanelAccount,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Another address and other credentials for the cohort webhook. The ones before are refused from now on, which pauses what Mixpanel still sends there. MIXPANEL_NOT_CONNECTED.',
    resolve: (_root, _args, ctx) => replaceWebhook(ctx),
  }),
  refreshCohorts: t.field({
    type: [Cohort],
    nullable: true,
    authScopes: CHANGE,
    complexity: { field: COSTS.mutation, multiplier: MAX_REFRESHED_COHORTS },
    description: `Reads the cohort list from Mixpanel now (one counted query), and returns the first ${MAX_REFRESHED_COHORTS} by name of the cohorts that are on it; the query cohorts has all. MIXPANEL_NOT_CONNECTED; RATE_LIMITED with extensions.retryAfterSeconds; INVALID_CREDENTIALS; INSUFFICIENT_PERMISSIONS; PARTNER_UNAVAILABLE.`,
    resolve: (_root, _args, ctx) => refreshCohorts(ctx),
  }),
}));
