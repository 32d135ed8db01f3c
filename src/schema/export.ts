import {
  isListNameOutdated,
  pauseExport,
  readCohortOf,
  readDelay,
  readExports,
  readIntegrationOf,
  readIntervalMinutes,
  readLastRun,
  readNextRunAt,
  resumeExport,
  runExport,
  startSync,
  stopExport,
} from '../resolvers/export.ts';
import { readRunsOf } from '../resolvers/sync-run.ts';
import { builder, CHANGE, READ } from './builder.ts';
import { pageOfParent, pageOfProject } from './costs.ts';
import { ExportStatus, ListAction, Provider, SyncType } from './enums.ts';
import { findRow, readExportId, readId } from './global-id.ts';
import { pageArgs } from './page-args.ts';
import { Cohort, Export, ExportConnection, Integration, SyncRun, SyncRunConnection } from './refs.ts';
import { reads, wantedOf } from './selection.ts';

const ExportDelay = builder
  .objectRef<{ reason: string; achievableIntervalMinutes: number }>('ExportDelay')
  .implement({
    description: 'Why runs come later than asked.',
    fields: (t) => ({
      reason: t.exposeString('reason', { description: 'For people.' }),
      achievableIntervalMinutes: t.exposeFloat('achievableIntervalMinutes', {
        description: 'Minutes from one run to the next that can be had.',
      }),
    }),
  });

builder.node(Export, {
  description: 'A cohort on its way to a list: what is exported where, how often, and how it stands.',
  id: { resolve: (exported) => exported.id },
  fields: (t) => ({
    cohort: t.field({
      type: Cohort,
      description: 'What is exported.',
      extensions: reads({ export: ['cohort_id'], follow: true }),
      resolve: (exported, _args, ctx) => readCohortOf(ctx, exported),
    }),
    integration: t.field({
      type: Integration,
      description: 'Where to.',
      extensions: reads({ export: ['integration_id'], follow: true }),
      resolve: (exported, _args, ctx) => readIntegrationOf(ctx, exported),
    }),
    syncType: t.expose('sync_type', {
      type: SyncType,
      description: 'How often; the newest startSync decides.',
    }),
    status: t.expose('status', { type: ExportStatus, description: 'Whether it goes on.' }),
    listName: t.exposeString('list_name', { description: 'mixpanel_<Cohort Name>_<Cohort ID>' }),
    listId: t.exposeString('list_id', {
      nullable: true,
      description: "Iterable's list id; null until the first run has created or found the list.",
    }),
    listNameOutdated: t.boolean({
      description: 'True when the cohort was renamed after its list was made; Iterable cannot rename lists.',
      extensions: reads({ export: ['list_id', 'list_name'], cohort: ['name', 'external_id'] }),
      resolve: (exported, _args, ctx) => isListNameOutdated(ctx, exported),
    }),
    listSize: t.exposeInt('list_size', { description: 'People on the list as of the last run.' }),
    keptCount: t.exposeInt('kept_count', {
      description:
        'People whom a discarded removal keeps on the list although they do not qualify, as of the last run. Until they qualify once more, or runExport(includeKept: true).',
    }),
    nextRunAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When the next run is due: on its grid, or with a delay when its turn comes. Null unless dynamic, active and connected; null for FILE cohorts too.',
      extensions: reads({
        export: ['sync_type', 'status', 'next_run_at'],
        cohort: ['source'],
        integration: ['status'],
      }),
      resolve: (exported, _args, ctx) => readNextRunAt(ctx, exported),
    }),
    intervalMinutes: t.float({
      nullable: true,
      description: 'Minutes from one run to the next; null for one-time exports.',
      extensions: reads({ export: ['sync_type'] }),
      resolve: (exported, _args, ctx) => readIntervalMinutes(ctx, exported),
    }),
    delay: t.field({
      type: ExportDelay,
      nullable: true,
      description:
        "Set when runs come later than asked: while a run waits for a query to Mixpanel or for approval, or because its exports share Mixpanel's query quota in turns.",
      extensions: reads({
        export: ['sync_type', 'status'],
        cohort: ['source'],
        run: ['status', 'pending_removals', 'wait_reason', 'wait_until'],
      }),
      resolve: (exported, _args, ctx) => readDelay(ctx, exported),
    }),
    createdAt: t.expose('created_at', {
      type: 'DateTime',
      description: 'When it began; its grid counts from here.',
    }),
    lastRun: t.field({
      type: SyncRun,
      nullable: true,
      description: 'Its newest run.',
      extensions: reads({ follow: true }),
      resolve: (exported, _args, ctx) => readLastRun(ctx, exported),
    }),
    runs: t.field({
      type: SyncRunConnection,
      complexity: pageOfParent,
      description: 'Its runs, newest first.',
      args: pageArgs(t.arg),
      extensions: reads({}),
      resolve: (exported, args, ctx, info) => readRunsOf(ctx, exported, args, wantedOf(info)),
    }),
  }),
});

builder.queryFields((t) => ({
  exports: t.field({
    type: ExportConnection,
    nullable: true,
    authScopes: READ,
    complexity: pageOfProject,
    description: 'The exports of the project, newest first.',
    args: {
      ...pageArgs(t.arg),
      syncType: t.arg({ type: [SyncType], description: 'Only those of one of these types.' }),
      status: t.arg({ type: [ExportStatus], description: 'Only those in one of these states.' }),
    },
    resolve: (_root, args, ctx, info) => readExports(ctx, args, wantedOf(info)),
  }),
  export: t.field({
    type: Export,
    nullable: true,
    authScopes: READ,
    description: 'One export; null when the project has none with this id.',
    args: { id: t.arg.id({ required: true, description: 'The id of the export.' }) },
    resolve: (_root, { id }, ctx) => findRow(ctx, 'Export', id),
  }),
}));

export const StartSyncInput = builder.inputType('StartSyncInput', {
  description: 'What to export, where to, and how often.',
  fields: (t) => ({
    cohortId: t.id({
      required: true,
      description: 'The id of the cohort; NOT_FOUND when the project has none with it.',
    }),
    provider: t.field({ type: Provider, required: true, defaultValue: 'ITERABLE', description: 'Where to.' }),
    syncType: t.field({ type: SyncType, required: true, description: 'How often.' }),
  }),
});

const exportIdArg = {
  required: true,
  description: 'The id of the export; NOT_FOUND when the project has none with it.',
} as const;

builder.mutationFields((t) => ({
  startSync: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Exports a cohort: makes its export active with this type and queues a run, which is returned. The newest call decides the type. SYNC_ALREADY_RUNNING with extensions.runId and extensions.status; INVALID_STATE for group and vanished cohorts, or when another export writes to the list; INTEGRATION_NOT_CONNECTED, MIXPANEL_NOT_CONNECTED.',
    args: {
      input: t.arg({ type: StartSyncInput, required: true, description: 'What, where to, how often.' }),
    },
    resolve: (_root, { input }, ctx) =>
      startSync(ctx, { ...input, cohortId: readId('Cohort', 'cohort', input.cohortId) }),
  }),
  runExport: t.field({
    type: SyncRun,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Runs an existing export now, a paused one once. INVALID_STATE for a stopped one; SYNC_ALREADY_RUNNING with extensions.runId and extensions.status, also while a run waits for approval; INTEGRATION_NOT_CONNECTED, MIXPANEL_NOT_CONNECTED.',
    args: {
      exportId: t.arg.id(exportIdArg),
      includeKept: t.arg.boolean({
        required: true,
        defaultValue: false,
        description:
          'Also removes people whom a discarded removal keeps on the list; the removal guard may hold them again.',
      }),
    },
    resolve: (_root, { exportId, includeKept }, ctx) =>
      runExport(ctx, readExportId(exportId), { includeKept }),
  }),
  pauseExport: t.field({
    type: Export,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Starts no further runs; the one that is going goes on. INVALID_STATE for completed and stopped ones.',
    args: { exportId: t.arg.id(exportIdArg) },
    resolve: (_root, { exportId }, ctx) => pauseExport(ctx, readExportId(exportId)),
  }),
  resumeExport: t.field({
    type: Export,
    nullable: true,
    authScopes: CHANGE,
    description: 'Starts runs again, on the same grid. INVALID_STATE for completed and stopped ones.',
    args: { exportId: t.arg.id(exportIdArg) },
    resolve: (_root, { exportId }, ctx) => resumeExport(ctx, readExportId(exportId)),
  }),
  stopExport: t.field({
    type: Export,
    nullable: true,
    authScopes: CHANGE,
    description:
      'Ends an export; a run that is going is cancelled first. The list is kept, emptied by a run, or deleted before this answers (INVALID_STATE when Iterable says that it is in use, INSUFFICIENT_PERMISSIONS, PARTNER_UNAVAILABLE, INTEGRATION_NOT_CONNECTED; then nothing changed).',
    args: {
      exportId: t.arg.id(exportIdArg),
      listAction: t.arg({
        type: ListAction,
        required: true,
        defaultValue: 'KEEP',
        description: 'What happens to the list.',
      }),
    },
    resolve: (_root, { exportId, listAction }, ctx) => stopExport(ctx, readExportId(exportId), listAction),
  }),
}));
