import type { ExportRow, IntegrationRow, SyncRunRow } from '../../db/tables.ts';
import { watchExports, watchIntegrations, watchRun, watchRuns } from '../resolvers/watch.ts';
import { builder, READ } from './builder.ts';
import { readExportId, readId } from './global-id.ts';
import { Export, Integration, SyncRun } from './refs.ts';

builder.subscriptionFields((t) => ({
  syncProgress: t.field({
    type: SyncRun,
    authScopes: READ,
    description:
      'The run now, then after every change (at most ten values a second, the newest always); completes when the run is over. For a run that is over: one value.',
    args: {
      runId: t.arg.id({
        required: true,
        description: 'The id of the run; NOT_FOUND when the project has none with it.',
      }),
    },
    subscribe: (_root, { runId }, ctx) => watchRun(ctx, readId('SyncRun', 'sync run', runId)),
    resolve: (run: SyncRunRow) => run,
  }),
  syncRunUpdated: t.field({
    type: SyncRun,
    authScopes: READ,
    description:
      'Every run of the project as it changes (all exports, or one); first the newest one as it is.',
    args: {
      exportId: t.arg.id({
        description: 'Only runs of this export; NOT_FOUND when the project has none with it.',
      }),
    },
    subscribe: (_root, { exportId }, ctx) =>
      watchRuns(ctx, exportId == null ? undefined : readExportId(exportId)),
    resolve: (run: SyncRunRow) => run,
  }),
  exportUpdated: t.field({
    type: Export,
    authScopes: READ,
    description:
      'Every export of the project (or one) as it changes, also when its newest run begins or ends; first the one that was asked for, or the newest, as it is.',
    args: {
      exportId: t.arg.id({ description: 'Only this export; NOT_FOUND when the project has none with it.' }),
    },
    subscribe: (_root, { exportId }, ctx) =>
      watchExports(ctx, exportId == null ? undefined : readExportId(exportId)),
    resolve: (exported: ExportRow) => exported,
  }),
  integrationUpdated: t.field({
    type: Integration,
    authScopes: READ,
    description: 'The integrations of the project: first each as it is, then after every change.',
    subscribe: (_root, _args, ctx) => watchIntegrations(ctx),
    resolve: (integration: IntegrationRow) => integration,
  }),
}));
