import { relayStylePagination } from '@apollo/client/utilities';
import { relayPagination } from '@urql/exchange-graphcache/extras';

// They belong to what shows them, and have no id of their own.
const parts = [
  ...['CreatedApiToken', 'CreatedProject', 'ExportDelay', 'MessagingCampaignUsage', 'MessagingEventUsage'],
  ...[
    'MessagingWhatIf',
    'RejectionCount',
    'RemovalGuard',
    'SyncCounts',
    'SyncError',
    'SyncPreview',
    'Viewer',
  ],
  'WebhookEndpoint',
];
// Fields that come in pages, with the arguments that make another list of them.
export const lists = {
  Query: {
    apiTokens: [],
    cohorts: ['search', 'source'],
    exports: ['status', 'syncType'],
    syncRuns: ['exportId', 'status'],
  },
  Export: { runs: [] },
  Integration: { exports: [] },
  Member: { history: [] },
  SyncRun: { members: ['outcome', 'reason'], pendingRemovals: [] },
};

const eachOf = <From, To>(values: Record<string, From>, make: (value: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, make(value)]));

/** Apollo Client: new InMemoryCache({ typePolicies }) */
export const typePolicies = {
  ...Object.fromEntries(parts.map((type) => [type, { keyFields: false, merge: true } as const])),
  ...eachOf<Record<string, string[]>, object>(lists, (fields) => ({
    fields: eachOf(fields, relayStylePagination),
  })),
};

/** urql: cacheExchange({ schema, keys, resolvers }), with the schema by introspection */
export const keys = Object.fromEntries(parts.map((type) => [type, () => null]));
export const resolvers = eachOf<Record<string, string[]>, Record<string, ReturnType<typeof relayPagination>>>(
  lists,
  (fields) => eachOf(fields, () => relayPagination()),
);
