import DataLoader from 'dataloader';
import { findTokensByIds } from '../../db/queries/api-token.ts';
import { findCohortsByIds } from '../../db/queries/cohort.ts';
import { findExportsByCohorts, findExportsByIds } from '../../db/queries/export.ts';
import { findIntegrationsByIds, findMixpanelByIds } from '../../db/queries/integration.ts';
import { countRejectionsByReason, type RejectionCount } from '../../db/queries/rejection.ts';
import type { ProjectScope } from '../../db/queries/scope.ts';
import { findLastRuns, findRunsByIds } from '../../db/queries/sync-run.ts';
import type {
  ApiTokenRow,
  CohortRow,
  ExportRow,
  IntegrationRow,
  MixpanelConnectionRow,
  SyncRunRow,
} from '../../db/tables.ts';
import type { Provider } from '../../db/values.ts';
import type { SyncDeps } from '../sync/deps.ts';
import { openEndpoint, type WebhookEndpoint } from '../sync/webhook-endpoint.ts';
import { createPageLoaders, type PageLoaders } from './page-loaders.ts';

/** Rows of the caller's project by id; what is asked for in one go costs one statement. Unknown ids give undefined. */
export interface Loaders extends PageLoaders {
  apiToken: Loader<string, ApiTokenRow>;
  mixpanelAccount: Loader<string, MixpanelConnectionRow>;
  integration: Loader<string, IntegrationRow>;
  cohort: Loader<string, CohortRow>;
  export: Loader<number, ExportRow>;
  syncRun: Loader<string, SyncRunRow>;
  /** By the id of the export. */
  lastRun: Loader<number, SyncRunRow>;
  /** How many a run rejected for which reason, by the id of the run. */
  rejectionCounts: DataLoader<string, RejectionCount[]>;
  /** Where the provider is to call us. */
  webhook: DataLoader<Provider, WebhookEndpoint>;
  /** By the id of the cohort. */
  exportOfCohort: Record<Provider, Loader<string, ExportRow>>;
}

type Loader<Key, Row> = DataLoader<Key, Row | undefined>;

export function createLoaders(sync: SyncDeps, projectId: string): Loaders {
  const scope: ProjectScope = { db: sync.db, projectId };
  const byId = (row: { id: string }) => row.id;
  return {
    ...createPageLoaders(scope),
    apiToken: batch((ids) => findTokensByIds(scope, ids), byId),
    mixpanelAccount: batch((ids) => findMixpanelByIds(scope, ids), byId),
    integration: batch((ids) => findIntegrationsByIds(scope, ids), byId),
    cohort: batch((ids) => findCohortsByIds(scope, ids), byId),
    export: batch(
      (ids) => findExportsByIds(scope, ids),
      (row) => row.id,
    ),
    syncRun: batch((ids) => findRunsByIds(scope, ids), byId),
    lastRun: batch(
      (ids) => findLastRuns(scope, ids),
      (row) => row.export_id,
    ),
    rejectionCounts: new DataLoader<string, RejectionCount[]>(
      async (ids) => {
        const counts = await countRejectionsByReason(scope, [...new Set(ids)]);
        return ids.map((id) => counts.get(id) ?? []);
      },
      { cache: false },
    ),
    webhook: new DataLoader<Provider, WebhookEndpoint>(
      async (providers) => {
        const different = [...new Set(providers)];
        const endpoints = await Promise.all(different.map((one) => openEndpoint(sync, projectId, one)));
        return providers.map((one) => endpoints[different.indexOf(one)]!);
      },
      { cache: false },
    ),
    exportOfCohort: {
      ITERABLE: batch(
        (ids) => findExportsByCohorts(scope, 'ITERABLE', ids),
        (row) => row.cohort_id,
      ),
    },
  };
}

/** Nothing is remembered: an operation may go on for hours, and each of its values is to be fresh. */
function batch<Key, Row>(
  find: (keys: readonly Key[]) => Promise<Row[]>,
  keyOf: (row: Row) => Key,
): Loader<Key, Row> {
  return new DataLoader<Key, Row | undefined>(
    async (keys) => {
      const rows = new Map((await find([...new Set(keys)])).map((row) => [keyOf(row), row]));
      return keys.map((key) => rows.get(key));
    },
    { cache: false },
  );
}
