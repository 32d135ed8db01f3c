import { type CacheExchangeOpts, cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';

const part = () => null;
const pages = relayPagination();

/** The schema by introspection: { __schema: … } */
export const createCacheExchange = (schema: NonNullable<CacheExchangeOpts['schema']>) =>
  cacheExchange({
    schema,
    // What comes in pages.
    resolvers: {
      Query: { apiTokens: pages, cohorts: pages, exports: pages, syncRuns: pages },
      Export: { runs: pages },
      Integration: { exports: pages },
      Member: { history: pages },
      SyncRun: { members: pages, pendingRemovals: pages },
    },
    // What has no id belongs to the object that shows it.
    keys: {
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
