import { InMemoryCache } from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';

const part = { keyFields: false, merge: true } as const;

export const createCache = () =>
  new InMemoryCache({
    typePolicies: {
      // What comes in pages, with the arguments that make another list of it.
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
      // What has no id belongs to the object that shows it.
      CreatedApiToken: part,
      CreatedProject: part,
      ExportChange: part,
      ExportDelay: part,
      FileReading: part,
      MessagingCampaignUsage: part,
      MessagingEventUsage: part,
      MessagingWhatIf: part,
      OperationError: part,
      RejectionCount: part,
      RemovalGuard: part,
      RunNotice: part,
      RunWait: part,
      SyncCounts: part,
      SyncError: part,
      SyncPreview: part,
      SyncStart: part,
      Viewer: part,
      WebhookEndpoint: part,
    },
  });
