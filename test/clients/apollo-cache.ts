import { InMemoryCache } from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';

// They belong to the object that shows them, and have no identity of their own.
const part = { keyFields: false, merge: true } as const;

export const createApolloCache = () =>
  new InMemoryCache({
    typePolicies: {
      Query: {
        fields: {
          apiTokens: relayStylePagination(),
          cohorts: relayStylePagination(['search', 'source']),
          exports: relayStylePagination(['status', 'syncType']),
          syncRuns: relayStylePagination(['exportId', 'status']),
        },
      },
      Export: { fields: { runs: relayStylePagination() } },
      Integration: { fields: { exports: relayStylePagination() } },
      Member: { fields: { history: relayStylePagination() } },
      SyncRun: {
        fields: {
          members: relayStylePagination(['outcome', 'reason']),
          pendingRemovals: relayStylePagination(),
        },
      },
      ExportDelay: part,
      MessagingWhatIf: part,
      RemovalGuard: part,
      SyncCounts: part,
      SyncError: part,
      Viewer: part,
      WebhookEndpoint: part,
    },
  });
