import { type CacheExchangeOpts, cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';

// They belong to the object that shows them, and have no identity of their own.
const part = () => null;

/** With the schema, by introspection, the cache knows which types implement Node. */
export const createGraphcache = (schema: NonNullable<CacheExchangeOpts['schema']>) =>
  cacheExchange({
    schema,
    keys: {
      CreatedApiToken: part,
      CreatedProject: part,
      ExportDelay: part,
      MessagingCampaignUsage: part,
      MessagingEventUsage: part,
      MessagingWhatIf: part,
      RejectionCount: part,
      RemovalGuard: part,
      SyncCounts: part,
      SyncError: part,
      SyncPreview: part,
      Viewer: part,
      WebhookEndpoint: part,
    },
    resolvers: {
      Query: {
        apiTokens: relayPagination(),
        cohorts: relayPagination(),
        exports: relayPagination(),
        syncRuns: relayPagination(),
      },
      Export: { runs: relayPagination() },
      Integration: { exports: relayPagination() },
      Member: { history: relayPagination() },
      SyncRun: { members: relayPagination(), pendingRemovals: relayPagination() },
    },
  });
